"""The truncated Fourier transform by fast transforms: for float32 and float64, where most frequencies are kept.

The same coefficients as `fourier`, which see. Complex numbers exist between two transforms only.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

State = Float[Tensor, "batch channel *space"]
Spectrum = Float[Tensor, "batch channel 2 mode"]


def analyse(u: State, n_modes: tuple[int, ...]) -> Spectrum:
    """Kept coefficients of a real state; each transform runs over what the last one kept."""
    u_hat = torch.fft.rfft(u, norm="forward").narrow(-1, 0, n_modes[-1] // 2 + 1)
    for axis in reversed(range(2, u.ndim - 1)):
        n, m = u.shape[axis], n_modes[axis - 2]
        u_hat = torch.fft.fft(u_hat, dim=axis, norm="forward")
        u_hat = torch.cat([u_hat.narrow(axis, n - m // 2, m // 2), u_hat.narrow(axis, 0, m - m // 2)], dim=axis)
    return torch.view_as_real(u_hat).movedim(-1, 2).flatten(3)


def synthesise(spectrum: Spectrum, n_modes: tuple[int, ...], points: tuple[int, ...]) -> State:
    """The real state with these coefficients on a grid of `points`."""
    pairs = spectrum.unflatten(3, (*n_modes[:-1], n_modes[-1] // 2 + 1)).movedim(2, -1)
    u_hat: Complex[Tensor, "batch channel *mode"] = torch.view_as_complex(pairs.contiguous())
    for axis, (n, m) in enumerate(zip(points[:-1], n_modes[:-1], strict=True), start=2):
        negative, positive = u_hat.split([m // 2, m - m // 2], dim=axis)
        empty = u_hat.new_zeros(*u_hat.shape[:axis], n - m, *u_hat.shape[axis + 1 :])
        u_hat = torch.fft.ifft(torch.cat([positive, empty, negative], dim=axis), dim=axis, norm="forward")
    return torch.fft.irfft(u_hat, n=points[-1], norm="forward")
