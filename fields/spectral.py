"""Fourier calculus on periodic grids: wavenumbers, derivatives, the 2/3 rule, and a measure of what is not resolved.

Convention: u(x) = sum_k u_hat(k) exp(i k x), k = 2 pi j / L angular; coefficients as `torch.fft.rfftn` lays them out
over the trailing `grid.ndim` axes, unnormalised (divide by the number of samples for amplitudes).
"""

import functools
import math

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from duhamel.fields.grid import Grid


def require_periodic(grid: Grid) -> None:
    """ValueError unless every axis is periodic."""
    if not all(grid.periodic):
        raise ValueError(f"Fourier coefficients need periodic axes, got boundary {[str(b) for b in grid.boundary]}")


def to_modes(u: Float[Tensor, "..."], grid: Grid) -> Complex[Tensor, "..."]:
    """Fourier coefficients over the trailing `grid.ndim` axes."""
    require_periodic(grid)
    return torch.fft.rfftn(u, dim=tuple(range(-grid.ndim, 0)))


def to_samples(u_hat: Complex[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
    """The inverse of `to_modes`."""
    return torch.fft.irfftn(u_hat, s=grid.shape, dim=tuple(range(-grid.ndim, 0)))


def _mode_numbers(grid: Grid, axis: int, device: torch.device | str) -> Float[Tensor, "..."]:
    """Integers j of one axis, shaped to broadcast over the coefficients."""
    n = grid.shape[axis]
    last = axis % grid.ndim == grid.ndim - 1
    j = (torch.fft.rfftfreq if last else torch.fft.fftfreq)(n, d=1 / n, dtype=torch.float64, device=device).round()
    return j.reshape([-1 if i == axis % grid.ndim else 1 for i in range(grid.ndim)])


def wavenumbers(
    grid: Grid, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
) -> tuple[Float[Tensor, "..."], ...]:
    """Angular wavenumbers 2 pi j / L of each axis, each shaped to broadcast over the coefficients.

    >>> from duhamel.fields import Boundary, Centring, Grid
    >>> circle = Grid(shape=(4,), extent=(6.283185307179586,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    >>> wavenumbers(circle)[0].tolist()
    [0.0, 1.0, 2.0]
    """
    require_periodic(grid)
    return tuple(
        (2 * math.pi / side * _mode_numbers(grid, axis, device)).to(dtype) for axis, side in enumerate(grid.extent)
    )


# Constants of a grid are kept: a solver asks for them at every stage of every step. Made outside of inference mode, so
# that whoever comes first leaves them fit for everyone's gradients.
@functools.lru_cache(maxsize=64)
@torch.inference_mode(False)
def derivative_symbol(
    grid: Grid, axis: int, *, order: int = 1, device: torch.device | str = "cpu"
) -> Complex[Tensor, "..."]:
    """(i k)^order along one axis, in complex128; not to be written into.

    The highest mode of an even number of points is a cosine whose odd derivatives vanish at every sample: its symbol
    is zero where `order` is odd.
    """
    k = wavenumbers(grid, device=device)[axis]
    symbol = (1j * k) ** order
    if order % 2 == 1 and grid.shape[axis] % 2 == 0:
        highest = _mode_numbers(grid, axis, device).abs() == grid.shape[axis] // 2
        symbol = symbol.masked_fill(highest, 0)
    return symbol


def derivative(u: Float[Tensor, "..."], grid: Grid, axis: int, *, order: int = 1) -> Float[Tensor, "..."]:
    """d^order u / dx_axis^order; the trailing `grid.ndim` axes of u are space. Only that axis has to be periodic."""
    if not grid.periodic[axis]:
        raise ValueError(f"axis {axis} has boundary {grid.boundary[axis]!s}; a Fourier derivative needs it periodic")
    line = Grid(
        shape=(grid.shape[axis],),
        extent=(grid.extent[axis],),
        boundary=(grid.boundary[axis],),
        centring=grid.centring,
    )
    dim = axis % grid.ndim - grid.ndim
    symbol = derivative_symbol(line, 0, order=order, device=u.device)
    u_hat = torch.fft.rfft(u, dim=dim)
    u_hat = u_hat * symbol.to(u_hat.dtype).reshape(-1, *(1,) * (-dim - 1))
    return torch.fft.irfft(u_hat, n=grid.shape[axis], dim=dim)


@functools.lru_cache(maxsize=64)
@torch.inference_mode(False)
def resolved_modes(grid: Grid, *, fraction: float = 1.0, device: torch.device | str = "cpu") -> Bool[Tensor, "..."]:
    """Modes with |j| < fraction * n / 3 along every axis; fraction 1 is the 2/3 rule for quadratic products.

    Not to be written into.
    """
    require_periodic(grid)
    kept = torch.ones((), dtype=torch.bool, device=device)
    for axis, n in enumerate(grid.shape):
        kept = kept & (_mode_numbers(grid, axis, device).abs() < fraction * n / 3)
    return kept
