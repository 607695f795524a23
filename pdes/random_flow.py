"""Random initial states of a gas."""

import itertools
import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid
from duhamel.pdes.sampling import Distribution, LogUniform, Uniform


@runtime_checkable
class InitialFlow(Protocol):
    """A distribution over density, pressure and velocity; sample i does not depend on how many are drawn."""

    def sample(
        self, grid: Grid, n_samples: int, generator: torch.Generator, *, heat_ratio: float
    ) -> Float[Tensor, "batch channel *space"]: ...


@dataclass(frozen=True, kw_only=True)
class RandomFlow:
    """PDEBench's family: random Fourier velocities at a Mach number, density and pressure disturbed about random means.

    Velocity components are sums over the modes |j| <= n_modes of every axis, of amplitude |k|^-1/2 and random phase,
    scaled until the root mean square of |v| is mach times the sound speed. Density and pressure (density times
    temperature) are their means times 1 + a sum of the same kind with maximum `disturbance`. With probability `window`
    all this is confined to a box with edges 1 % of the side wide, the gas at rest outside: that makes shocks.

    Source: Takamoto et al. (2022), PDEBench, appendix D.5; no code of theirs was used.
    """

    mach: Distribution = LogUniform(0.1, 1.0)
    density: Distribution = Uniform(0.1, 10.0)
    temperature: Distribution = Uniform(0.1, 10.0)
    disturbance: Distribution = Uniform(0.01, 0.2)
    n_modes: int = 4
    window: float = 0.5

    def __post_init__(self) -> None:
        if self.n_modes < 1 or not 0 <= self.window <= 1:
            raise ValueError(f"n_modes must be at least 1 and window a probability, got {self}")

    def sample(
        self, grid: Grid, n_samples: int, generator: torch.Generator, *, heat_ratio: float
    ) -> Float[Tensor, "batch channel *space"]:
        return torch.stack([self._one(grid, generator, heat_ratio) for _ in range(n_samples)])

    def _one(self, grid: Grid, generator: torch.Generator, heat_ratio: float) -> Float[Tensor, "channel *space"]:
        numbers = (self.mach, self.density, self.temperature, self.disturbance)
        mach, density, temperature, size = (float(d.sample(1, generator)) for d in numbers)
        waves = self._waves(grid, 2 + grid.ndim, generator)
        shape = self._box(grid, generator)
        rms = waves[2:].square().sum(dim=0).mean().sqrt()
        velocity = waves[2:] * (mach * math.sqrt(heat_ratio * temperature) / rms) * shape
        bumps = waves[:2] / waves[:2].abs().flatten(1).amax(dim=1).reshape(-1, *(1,) * grid.ndim)
        scalars = torch.tensor([density, density * temperature], dtype=torch.float64, device=generator.device)
        return torch.cat([scalars.reshape(-1, *(1,) * grid.ndim) * (1 + size * bumps * shape), velocity])

    def _waves(self, grid: Grid, n_fields: int, generator: torch.Generator) -> Float[Tensor, "field *space"]:
        """Sums of cosines, one half of the wave vectors (the other half repeats them), a phase a field and vector."""
        device = generator.device
        x = [
            2 * math.pi * (c - o) / side
            for c, o, side in zip(grid.coordinates(device=device), grid.origin, grid.extent, strict=True)
        ]
        line = range(-self.n_modes, self.n_modes + 1)
        vectors = [j for j in itertools.product(line, repeat=grid.ndim) if j > (0,) * grid.ndim]
        phases = (
            2 * math.pi * torch.rand(len(vectors), n_fields, generator=generator, dtype=torch.float64, device=device)
        )
        total = torch.zeros(n_fields, *grid.shape, dtype=torch.float64, device=device)
        for j, phase in zip(vectors, phases, strict=True):
            angle = phase.reshape(-1, *(1,) * grid.ndim)
            for axis, number in enumerate(j):
                angle = angle + (number * x[axis]).reshape(-1, *(1,) * (grid.ndim - 1 - axis))
            total += math.hypot(*j) ** -0.5 * torch.cos(angle)
        return total

    def _box(self, grid: Grid, generator: torch.Generator) -> Float[Tensor, "*space"]:
        device = generator.device
        draws = torch.rand(1 + 2 * grid.ndim, generator=generator, dtype=torch.float64, device=device).tolist()
        shape = torch.ones(grid.shape, dtype=torch.float64, device=device)
        if draws[0] >= self.window:
            return shape
        for axis, (c, o, side) in enumerate(
            zip(grid.coordinates(device=device), grid.origin, grid.extent, strict=True)
        ):
            x, (low, high) = (c - o) / side, (0.1 + 0.35 * draws[1 + 2 * axis], 0.55 + 0.35 * draws[2 + 2 * axis])
            edge = (torch.tanh((x - low) / 0.01) - torch.tanh((x - high) / 0.01)) / 2
            shape = shape * edge.reshape(-1, *(1,) * (grid.ndim - 1 - axis))
        return shape
