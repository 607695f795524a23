"""Random sums of a few waves, as the published benchmarks draw their initial states."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.grid import Grid

# Of the window's flanks, relative to the side of the domain.
FLANK = 0.01


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)


@dataclass(frozen=True, kw_only=True)
class PickedWaves:
    """sum_j A_j sin(2 pi j c_j x / L + phi_j), j = 1, ..., n_waves, of which `n_picked` are picked: PDEBench's states.

    A is uniform in [0, 1], phi in [0, 2 pi], c_j counts how often j was picked, with replacement: a wave that was not
    is a constant, one that was picked twice has twice the wavenumber. Then, each with its probability, the absolute
    value is taken, and the field is multiplied by a smooth window from U(0.1, 0.45) L to U(0.55, 0.9) L; the sign is
    random.

    Takamoto et al. (2022), PDEBench, appendix on one-dimensional data; the counts are seen in its files. One dimension.
    """

    n_waves: int = 4
    n_picked: int = 2
    absolute: float = 0.1
    window: float = 0.1

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        if grid.ndim != 1:
            raise ValueError(f"picked waves are drawn in one dimension, got a grid of shape {grid.shape}")
        x = ((grid.coordinates()[0] - grid.origin[0]) / grid.extent[0]).to(generator.device)
        return torch.stack([self._one(x, generator) for _ in range(n_samples)])

    def _one(self, x: Float[Tensor, " x"], generator: torch.Generator) -> Float[Tensor, " x"]:
        amplitude, phase = _uniform(generator, 2, self.n_waves)
        picked = torch.randint(self.n_waves, (self.n_picked,), generator=generator, device=generator.device)
        j = torch.arange(1, self.n_waves + 1, device=x.device) * torch.bincount(picked, minlength=self.n_waves)
        u = (amplitude[:, None] * torch.sin(2 * math.pi * (j[:, None] * x + phase[:, None]))).sum(dim=0)
        absolute, sign, window, left, right = _uniform(generator, 5).tolist()
        if absolute < self.absolute:
            u = u.abs()
        if window < self.window:
            rise, fall = torch.tanh((x - 0.1 - 0.35 * left) / FLANK), torch.tanh((x - 0.55 - 0.35 * right) / FLANK)
            u = u * (rise - fall) / 2
        return u if sign < 0.5 else -u


@dataclass(frozen=True, kw_only=True)
class TruncatedFourier:
    """A Fourier series up to mode `cutoff` on each axis, amplitudes and phases of its modes uniform: APEBench's states.

    zero_mean: without the constant mode. max_one: scaled so that the largest absolute value on the grid is 1, the one
    way in which a sample depends on its grid.

    Koehler et al. (2024), APEBench. Periodic axes.
    """

    cutoff: int = 5
    zero_mean: bool = True
    max_one: bool = True

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        return torch.stack([self._one(grid, generator) for _ in range(n_samples)])

    def _one(self, grid: Grid, generator: torch.Generator) -> Float[Tensor, "*space"]:
        rows = (2 * self.cutoff + 1,) * grid.ndim
        amplitude = 2 * _uniform(generator, *rows) - 1
        phase = 2 * math.pi * _uniform(generator, *rows)
        if self.zero_mean:
            amplitude[(self.cutoff,) * grid.ndim] = 0
        u = torch.polar(amplitude.abs(), phase + math.pi * (amplitude < 0))
        j = torch.arange(-self.cutoff, self.cutoff + 1, dtype=torch.float64, device=generator.device)
        for axis in range(grid.ndim):
            x = (grid.coordinates()[axis] - grid.origin[axis]).to(generator.device) / grid.extent[axis]
            wave = torch.polar(torch.ones_like(j[:, None] * x), 2 * math.pi * j[:, None] * x)
            # Contracting the first remaining mode axis appends a space axis: after all axes the order is right.
            u = torch.tensordot(u, wave, dims=([0], [0]))
        return u.real / u.real.abs().max() if self.max_one else u.real
