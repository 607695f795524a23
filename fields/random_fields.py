"""Random functions, not random arrays: one seed gives one function, sampled on whichever grid is asked for."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.boundary import Boundary
from duhamel.fields.grid import Grid


@runtime_checkable
class RandomField(Protocol):
    """A distribution over scalar fields. Sample i does not depend on how many are drawn."""

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        """Fields in float64, on the generator's device."""
        ...


@dataclass(frozen=True, kw_only=True)
class GaussianField:
    """N(mean, sigma^2 (-Lap + tau^2)^-alpha), by its Karhunen-Loeve expansion up to `n_modes` per axis.

    Eigenfunctions are products of 1, cos(2 pi j x / L), sin(2 pi j x / L) on periodic axes and of cos(pi j x / L)
    (zero normal derivative) on all others, j <= n_modes, orthonormal in L2 of the domain. Coefficients are drawn
    without regard to the grid: one seed gives the same function at every resolution. A grid of at least
    2 n_modes + 1 points per periodic axis (n_modes + 1 on others) holds it without aliasing.

    tau: inverse length, in the unit of the grid's extent, as angular wavenumbers are.
    zero_mean: leave the constant mode out.
    """

    sigma: float
    tau: float
    alpha: float
    n_modes: int
    mean: float = 0.0
    zero_mean: bool = False

    def __post_init__(self) -> None:
        if self.n_modes < 1 or self.sigma < 0 or self.tau < 0:
            raise ValueError(f"n_modes must be at least 1, sigma and tau not negative, got {self}")
        if self.tau == 0 and not self.zero_mean:
            raise ValueError("tau = 0 gives the constant mode infinite variance: set zero_mean or a positive tau")

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        device = generator.device
        std = self.standard_deviations(grid).to(device)
        # One draw a sample: a single large draw would make a sample depend on how many follow it.
        draws = [torch.randn(std.shape, generator=generator, dtype=std.dtype, device=device) for _ in range(n_samples)]
        u = std * torch.stack(draws)
        for axis in range(grid.ndim):
            # Contracting the first remaining mode axis appends a space axis: after all axes the order is right.
            u = torch.tensordot(u, self._basis(grid, axis)[1].to(device), dims=([1], [0]))
        return self.mean + u

    def standard_deviations(self, grid: Grid) -> Float[Tensor, "*mode"]:
        """Square roots of the covariance's eigenvalues, in the order of the coefficients."""
        square = torch.zeros((), dtype=torch.float64)
        for axis in range(grid.ndim):
            square = square[..., None] + self._basis(grid, axis)[0] ** 2
        eigenvalue = square + self.tau**2
        constant = (0,) * grid.ndim
        if self.zero_mean:
            eigenvalue[constant] = 1.0
        std = self.sigma * eigenvalue ** (-self.alpha / 2)
        if self.zero_mean:
            std[constant] = 0.0
        return std

    def _basis(self, grid: Grid, axis: int) -> tuple[Float[Tensor, " mode"], Float[Tensor, "mode n"]]:
        """Wavenumbers and samples of the orthonormal functions of one axis, the constant first."""
        side = grid.extent[axis]
        x = grid.coordinates()[axis] - grid.origin[axis]
        j = torch.arange(1, self.n_modes + 1, dtype=torch.float64)
        k = (2 if grid.periodic[axis] else 1) * math.pi / side * j
        waves = [torch.cos(k[:, None] * x)]
        if grid.periodic[axis]:
            waves.append(torch.sin(k[:, None] * x))
        wavenumber = torch.cat([torch.zeros(1, dtype=torch.float64), *(k for _ in waves)])
        constant = torch.full((1, len(x)), side**-0.5, dtype=torch.float64)
        return wavenumber, torch.cat([constant, *((2 / side) ** 0.5 * wave for wave in waves)])


@dataclass(frozen=True, kw_only=True)
class ThresholdedField:
    """Two materials: `above` where the field is >= 0, `below` elsewhere."""

    field: RandomField
    above: float
    below: float

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        u = self.field.sample(grid, n_samples, generator)
        return torch.full_like(u, self.below).masked_fill(u >= 0, self.above)


@dataclass(frozen=True, kw_only=True)
class LogNormalField:
    """median * exp(field)."""

    field: RandomField
    median: float = 1.0

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        return self.median * torch.exp(self.field.sample(grid, n_samples, generator))


@dataclass(frozen=True, kw_only=True)
class LogisticField:
    """1 / (1 + exp(-field)): values between 0 and 1, densities and fractions."""

    field: RandomField

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        return torch.sigmoid(self.field.sample(grid, n_samples, generator))


@dataclass(frozen=True, kw_only=True)
class VanishingField:
    """field * prod sin(pi x / L) over the Dirichlet axes: zero on their ends, odd where the field is even."""

    field: RandomField

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        u = self.field.sample(grid, n_samples, generator)
        for axis, (x, left, side) in enumerate(zip(grid.coordinates(), grid.origin, grid.extent, strict=True)):
            if grid.boundary[axis] is Boundary.DIRICHLET:
                wave = torch.sin(math.pi / side * (x - left)).to(u.device)
                u = u * wave.reshape(-1, *(1,) * (grid.ndim - 1 - axis))
        return u
