"""Gaussian random fields: one seed gives one function, sampled on whichever grid is asked for."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.grid import Grid


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
        return self._synthesis(std * torch.stack(draws), grid)

    def n_coefficients(self, grid: Grid) -> int:
        """One a mode; the constant mode takes none where it is left out."""
        return self.standard_deviations(grid).numel() - self.zero_mean

    def transport(
        self,
        z: Float[Tensor, "batch coefficient"],
        grid: Grid,
        *,
        standard_deviations: Float[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "batch *space"]:
        """mean + sum_j std_j z_j phi_j; standard_deviations: other ones, of each sample ("batch *mode")."""
        own = self.standard_deviations(grid).to(z)
        if self.zero_mean:
            z = torch.cat([torch.zeros_like(z[:, :1]), z], dim=1)
        scale = own if standard_deviations is None else standard_deviations
        return self._synthesis(scale * z.reshape(-1, *own.shape), grid)

    def _synthesis(self, u: Float[Tensor, "batch *mode"], grid: Grid) -> Float[Tensor, "batch *space"]:
        for axis in range(grid.ndim):
            # Contracting the first remaining mode axis appends a space axis: after all axes the order is right.
            u = torch.tensordot(u, self._basis(grid, axis)[1].to(u), dims=([1], [0]))
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
class DirichletField(GaussianField):
    """A `GaussianField` that vanishes at the ends of axes that are not periodic: products of sin(pi j x / L) there."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.zero_mean:
            raise ValueError("a field that vanishes at its boundary has no constant mode to leave out")

    def _basis(self, grid: Grid, axis: int) -> tuple[Float[Tensor, " mode"], Float[Tensor, "mode n"]]:
        if grid.periodic[axis]:
            return super()._basis(grid, axis)
        side = grid.extent[axis]
        x = grid.coordinates()[axis] - grid.origin[axis]
        k = math.pi / side * torch.arange(1, self.n_modes + 1, dtype=torch.float64)
        return k, (2 / side) ** 0.5 * torch.sin(k[:, None] * x)
