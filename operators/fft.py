"""The truncated Fourier transform by fast transforms: for float32 and float64, where most frequencies are kept.

The same coefficients as `fourier`, which see. Complex numbers exist between two transforms only.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

State = Float[Tensor, "batch channel *space"]
Spectrum = Float[Tensor, "mode 2 batch channel"]


def analyse(u: State, n_modes: tuple[int, ...]) -> Spectrum:
    """Kept coefficients of a real state: one transform, and one copy into the order in which they are multiplied."""
    dim = u.ndim - 2
    u_hat = torch.fft.rfftn(u, dim=tuple(range(2, u.ndim)), norm="forward").narrow(-1, 0, n_modes[-1] // 2 + 1)
    pairs = torch.view_as_real(u_hat).permute(*range(2, 2 + dim), 2 + dim, 0, 1)
    for axis, m in enumerate(n_modes[:-1]):
        n = u.shape[2 + axis]
        pairs = torch.cat([pairs.narrow(axis, n - m // 2, m // 2), pairs.narrow(axis, 0, m - m // 2)], dim=axis)
    return pairs.reshape(-1, *pairs.shape[dim:])


def synthesise(spectrum: Spectrum, n_modes: tuple[int, ...], points: tuple[int, ...]) -> State:
    """The real state with these coefficients on a grid of `points`."""
    kept = (*n_modes[:-1], n_modes[-1] // 2 + 1)
    pairs = spectrum.permute(2, 3, 0, 1).unflatten(2, kept).contiguous()
    u_hat: Complex[Tensor, "batch channel *mode"] = torch.view_as_complex(pairs)
    for axis, (n, m) in enumerate(zip(points[:-1], n_modes[:-1], strict=True), start=2):
        negative, positive = u_hat.split([m // 2, m - m // 2], dim=axis)
        empty = u_hat.new_zeros(*u_hat.shape[:axis], n - m, *u_hat.shape[axis + 1 :])
        u_hat = torch.cat([positive, empty, negative], dim=axis)
    if u_hat.device.type == "cuda":
        return real_part_by_axes(u_hat, points)
    return torch.fft.irfftn(u_hat, s=points, dim=tuple(range(2, 2 + len(points))), norm="forward")


def real_part_by_axes(u_hat: Complex[Tensor, "batch channel *mode"], points: tuple[int, ...]) -> State:
    """What irfftn does on a CPU, on every device: complex transforms, then a real one along the last axis.

    A learned multiplier makes spectra of functions that are not real: once the other axes are transformed, there are
    imaginary parts at k = 0 and n / 2 of the last. A CPU ignores them; cuFFT returns something else, and not the same
    for all sizes (PyTorch's issue 154496), so that an operator would be another one on a GPU.
    """
    if len(points) > 1:
        u_hat = torch.fft.ifftn(u_hat, dim=tuple(range(2, 1 + len(points))), norm="forward")
    k = torch.arange(u_hat.shape[-1], device=u_hat.device)
    imaginary = (k != 0) & (2 * k != points[-1])
    return torch.fft.irfft(torch.complex(u_hat.real, u_hat.imag * imaginary), n=points[-1], norm="forward")
