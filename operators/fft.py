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
    return torch.fft.irfftn(u_hat, s=points, dim=tuple(range(2, 2 + len(points))), norm="forward")
