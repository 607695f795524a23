"""Energy by wavenumber, and errors of large, middle and small scales, on any grid."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duhamel.fields import Grid
from duhamel.metrics.states import Fields, at_least_float32, pair

# Shells 0-3, 4-11 and 12 upwards: PDEBench's limits, in periods over the longest side of the domain.
BANDS = {"low": (0, 4), "mid": (4, 12), "high": (12, None)}


class Shells(NamedTuple):
    """Where each coefficient of the half spectrum (`torch.fft.rfftn`) belongs.

    shell: nearest integer to |k| L / (2 pi), L the longest side: how often a wave repeats over that side.
    weight: 2 where the coefficient stands for its complex conjugate too, else 1.
    """

    shell: Int[Tensor, " mode"]
    weight: Float[Tensor, " mode"]


def spectral_shells(shape: tuple[int, ...], extent: tuple[float, ...], *, unit: float) -> Shells:
    """Shells of width 2 pi / `unit` for a periodic box of `shape` points and `extent` side lengths."""
    last = len(shape) - 1
    squares: Tensor = torch.zeros((), dtype=torch.float64)
    for axis, (n, side) in enumerate(zip(shape, extent, strict=True)):
        frequencies = torch.fft.rfftfreq if axis == last else torch.fft.fftfreq
        waves = frequencies(n, d=1 / n, dtype=torch.float64) * (unit / side)
        squares = squares[..., None] + waves.square()
    weight = torch.full((shape[-1] // 2 + 1,), 2.0, dtype=torch.float64)
    weight[0] = 1.0
    if shape[-1] % 2 == 0:
        weight[-1] = 1.0
    return Shells(squares.sqrt().round().long().flatten(), weight.expand(squares.shape).flatten())


def reflected(u: Fields, grid: Grid) -> tuple[Tensor, tuple[float, ...]]:
    """`u` continued evenly across the end of every axis that is not periodic, and the side lengths of that box.

    A plain Fourier transform would see a jump between the two ends and show it as energy at all wavenumbers; the even
    continuation (a cosine transform) has none. Means over space do not change.
    """
    extent = list(grid.extent)
    for axis, periodic in enumerate(grid.periodic):
        if not periodic:
            u = torch.cat((u, u.flip(3 + axis)), dim=3 + axis)
            extent[axis] *= 2
    return u, tuple(extent)


def energy_spectrum(u: Fields, grid: Grid) -> Float[Tensor, "batch time channel shell"]:
    """E_s = sum of |u_hat_k|^2 over the wavenumbers of shell s, with sum_s E_s = mean of u^2 over space (Parseval).

    Shell s holds the wavenumbers with |k| L / (2 pi) nearest to s, L the longest side: s is the number of periods over
    L. The corners of the spectral box are kept, so that nothing is lost. Axes that are not periodic are continued
    evenly (`reflected`). Unit: that of u, squared.

    >>> import torch
    >>> from duhamel.fields import Boundary, Centring, Grid
    >>> from duhamel.metrics import energy_spectrum
    >>> grid = Grid(shape=(8,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    >>> wave = torch.sin(4 * torch.pi * grid.mesh())
    >>> energy_spectrum(wave[None, None], grid).squeeze().round(decimals=12).abs().tolist()
    [0.0, 0.0, 0.5, 0.0, 0.0]
    """
    if tuple(u.shape[3:]) != grid.shape:
        raise ValueError(f"fields of shape {tuple(u.shape)} do not lie on a grid of shape {grid.shape}")
    box, extent = reflected(at_least_float32(u), grid)
    shape = tuple(box.shape[3:])
    shells = spectral_shells(shape, extent, unit=max(grid.extent))
    shell, weight = shells.shell.to(u.device), shells.weight.to(device=u.device, dtype=box.dtype)
    coefficients = torch.fft.rfftn(box, dim=tuple(range(3, box.ndim)), norm="forward").flatten(3)
    energy = (coefficients.real.square() + coefficients.imag.square()) * weight
    n_shells = int(shells.shell.max()) + 1
    return energy.new_zeros(*energy.shape[:3], n_shells).index_add_(3, shell, energy)


def relative_l2_by_band(prediction: Fields, target: Fields, grid: Grid) -> dict[str, Float[Tensor, " batch"]]:
    """Error of the low, middle and high wavenumbers, each over the norm of the *whole* target trajectory.

    The squares of the three add up to the square of `relative_l2`: they say at which scales the error lies. (Over the
    energy of the band itself, the error of a smooth solution's empty bands would be a ratio of two rounding errors.)
    Bands are `BANDS`, in periods over the longest side; a band above a grid's reach is 0.
    """
    p, y = pair(prediction, target)
    error = energy_spectrum(p - y, grid).sum((1, 2))
    norm = energy_spectrum(y, grid).sum((1, 2, 3))
    return {name: (error[:, slice(*limits)].sum(1) / norm).sqrt() for name, limits in BANDS.items()}
