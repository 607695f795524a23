"""Periodic Gaussian processes by their kernel, and fields scaled to the unit interval."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.grid import Grid
from duhamel.fields.random_fields import RandomField

# Points a period on which a kernel's Fourier coefficients are computed; far more than it has.
KERNEL_POINTS = 512
# Modes of smaller weight, relative to the largest, are left out.
NEGLIGIBLE = 1e-16


@dataclass(frozen=True, kw_only=True)
class PeriodicKernelField:
    """Gaussian with covariance prod over axes of exp(-sin^2(pi d / L) / (2 length^2)), d the distance along an axis.

    Du et al. (2024), Neural Spectral Methods. Drawn by its Fourier series, so one seed is one function on every grid.

    length: relative to the side L. zero_mean: without the constant mode.
    """

    length: float
    zero_mean: bool = False

    def __post_init__(self) -> None:
        if not self.length > 0:
            raise ValueError(f"length must be positive, got {self.length}")

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        if not all(grid.periodic):
            raise ValueError(f"a periodic kernel needs periodic axes, got {[str(b) for b in grid.boundary]}")
        weights = self._weights().to(generator.device)
        n_modes = len(weights) - 1
        # Constant, cosines, sines: standard deviations of the coefficients of one axis.
        line = torch.cat([weights[:1], (2 * weights[1:]), (2 * weights[1:])]).clamp_min(0).sqrt()
        std = line
        for _ in range(grid.ndim - 1):
            std = std[..., None] * line
        if self.zero_mean:
            std[(0,) * grid.ndim] = 0
        draws = [
            torch.randn(std.shape, generator=generator, dtype=std.dtype, device=std.device) for _ in range(n_samples)
        ]
        u = std * torch.stack(draws)
        j = torch.arange(1, n_modes + 1, dtype=torch.float64, device=std.device)
        for axis in range(grid.ndim):
            x = ((grid.coordinates()[axis] - grid.origin[axis]) / grid.extent[axis]).to(std.device)
            angle = 2 * math.pi * j[:, None] * x
            basis = torch.cat([torch.ones_like(x)[None], torch.cos(angle), torch.sin(angle)])
            # Contracting the first remaining mode axis appends a space axis: after all axes the order is right.
            u = torch.tensordot(u, basis, dims=([1], [0]))
        return u

    def _weights(self) -> Float[Tensor, " mode"]:
        """Fourier coefficients of the kernel of one axis, j = 0, 1, ..., as far as they are not negligible."""
        d = torch.arange(KERNEL_POINTS, dtype=torch.float64) / KERNEL_POINTS
        weights = (
            torch.fft.rfft(torch.exp(-torch.sin(math.pi * d).square() / (2 * self.length**2))).real / KERNEL_POINTS
        )
        return weights[: int((weights > NEGLIGIBLE * weights[0]).double().cumprod(0).sum())]


@dataclass(frozen=True, kw_only=True)
class UnitRange:
    """Each sample of a field, shifted and scaled to run from 0 to 1 over its grid: densities and fractions.

    The extremes are those on the grid: the one way in which a sample depends on it.
    """

    field: RandomField

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        u = self.field.sample(grid, n_samples, generator)
        space = tuple(range(1, u.ndim))
        low, high = u.amin(space, keepdim=True), u.amax(space, keepdim=True)
        return (u - low) / (high - low)
