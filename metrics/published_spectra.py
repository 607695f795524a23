"""Spectral errors as PDEBench, The Well and apebench define them, to compare with published numbers.

All transform the grid values as if every axis were periodic, whatever the boundary, and count wavenumbers in periods
over each axis by itself. For errors that are right on any grid see `duhamel.metrics.spectrum`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.metrics.spectrum import BANDS
from duhamel.metrics.states import Fields, PerChannel, at_least_float32, pair


def _energy(u: Fields) -> Fields:
    """|u_hat|^2 of the full spectrum; its sum over wavenumbers is the mean of u^2 over space."""
    u_hat = torch.fft.fftn(at_least_float32(u), dim=tuple(range(3, u.ndim)), norm="forward")
    return u_hat.real.square() + u_hat.imag.square()


def _wavenumbers(shape: tuple[int, ...]) -> list[Float[Tensor, "*space"]]:
    """Periods over each axis, as float64 arrays that broadcast to `shape`."""
    axes = [torch.fft.fftfreq(n, d=1 / n, dtype=torch.float64) for n in shape]
    return list(torch.meshgrid(*axes, indexing="ij"))


def pdebench_frmse(prediction: Fields, target: Fields, *, volume: float = 1.0) -> Float[Tensor, "time channel band"]:
    """fRMSE of PDEBench over a whole data set: low (0-3), middle (4-11) and high wavenumbers.

    F_r = sqrt(mean over samples of the sum of |e_hat|^2 over floor(|k|) = r), and a band is the mean of its F_r. Only
    wavenumbers that are not negative along any axis enter, below half the shortest axis (in 1-D the Nyquist frequency
    too). A band beyond the grid is NaN, as published. The mean over samples lies under the root: values of several
    batches cannot be averaged, so give it all samples.

    volume: product of the side lengths, by which PDEBench multiplies; its scripts leave it at 1.
    """
    p, y = pair(prediction, target)
    shape = tuple(p.shape[3:])
    energy = _energy(p - y).mean(0).flatten(2)
    if len(shape) == 1:
        reach = shape[0] // 2 + 1
        radius = torch.arange(shape[0])
    else:
        reach = min(shape) // 2
        waves = _wavenumbers(shape)
        radius = torch.stack([k.square() for k in waves]).sum(0).sqrt().floor().long().flatten()
        inside = torch.stack([k >= 0 for k in waves]).all(0).flatten()
        radius = torch.where(inside, radius, reach)
    by_radius = energy.new_zeros(*energy.shape[:2], reach + 1)
    by_radius.index_add_(2, radius.clamp(max=reach).to(energy.device), energy)
    error = volume * by_radius[..., :reach].sqrt()
    return torch.stack([error[..., slice(*limits)].mean(2) for limits in BANDS.values()], dim=2)


def well_binned_spectral_mse(
    prediction: Fields, target: Fields, *, eps: float = 1e-7
) -> tuple[Float[Tensor, "batch time channel band"], Float[Tensor, "batch time channel band"]]:
    """The Well's mean square error in three bins of |k|, which add up to `mse`, and its ratio to the target's energy.

    |k| in radians a grid point; edges logarithmic from 2 pi / (longest axis) to pi sqrt(dim), the first set to 0. A bin
    holds its lower edge; the last holds all that lies above. The ratio is mse / (energy of the target there + eps).
    """
    p, y = pair(prediction, target)
    shape = tuple(p.shape[3:])
    edges = torch.logspace(
        math.log10(2 * math.pi / max(shape)), math.log10(math.pi * math.sqrt(len(shape))), 4, dtype=torch.float64
    )
    radians = [2 * math.pi / n * k for n, k in zip(shape, _wavenumbers(shape), strict=True)]
    radius = torch.stack([k.square() for k in radians]).sum(0).sqrt()
    # The inner edges alone: below the first is bin 0, above the second bin 2, and no wavenumber is lost to rounding.
    bins = torch.bucketize(radius.flatten(), edges[1:3], right=True).to(p.device)

    def binned(u: Tensor) -> Tensor:
        energy = _energy(u).flatten(3)
        return energy.new_zeros(*energy.shape[:3], 3).index_add_(3, bins, energy)

    error = binned(p - y)
    return error, error / (binned(y) + eps)


def apebench_fourier_nrmse(
    prediction: Fields, target: Fields, *, low: int = 0, high: int | None = None
) -> Float[Tensor, "batch time channel"]:
    """nRMSE within a band: sqrt(sum |e_hat|^2) / sqrt(sum |y_hat|^2) over low <= max_i |k_i| <= high, both ends in.

    Bands are square, not round: k_i counts periods over axis i, and the largest of them decides. apebench's figure is
    the sum over channels, then the mean over samples.
    """
    p, y = pair(prediction, target)
    largest = torch.stack([k.abs() for k in _wavenumbers(tuple(p.shape[3:]))]).amax(0)
    inside = ((largest >= low) & (largest <= (math.inf if high is None else high))).flatten()
    if not bool(inside.any()):
        raise ValueError(f"no wavenumber of a grid of shape {tuple(p.shape[3:])} lies between {low} and {high}")
    rows = inside.nonzero().squeeze(1).to(p.device)

    def norm(u: Tensor) -> Tensor:
        return _energy(u).flatten(3).index_select(3, rows).sum(3).sqrt()

    return norm(p - y) / norm(y)


def apebench_h1_nrmse(prediction: Fields, target: Fields) -> PerChannel:
    """nRMSE plus the nRMSE of first derivatives, (sum_i |d_i e|) / (sum_i |d_i y|) with |.| the L2 norm over space.

    Not a Sobolev norm of the error (that is `h1`). On a square domain it does not depend on the length unit.
    """
    p, y = pair(prediction, target)
    waves = [k.square().to(device=p.device, dtype=p.dtype).flatten() for k in _wavenumbers(tuple(p.shape[3:]))]

    def norms(u: Tensor) -> tuple[Tensor, Tensor]:
        energy = _energy(u).flatten(3)
        slopes = torch.stack([(energy * k2).sum(3).sqrt() for k2 in waves]).sum(0)
        return energy.sum(3).sqrt(), slopes

    (error, error_slope), (size, size_slope) = norms(p - y), norms(y)
    return error / size + error_slope / size_slope
