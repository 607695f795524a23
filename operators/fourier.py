"""The truncated discrete Fourier transform as real matrices.

An operator that keeps m of n frequencies needs a small n x 2K matrix, not a full FFT: the product runs in any
precision, on any grid size, and is exact and linear. Coefficients follow numpy's norm="forward": those of the
function, not of the grid, so they do not change with its resolution. Tables are kept; made outside inference mode, they
serve training too, whoever asked first.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor


def wave_indices(n_modes: int) -> Float[Tensor, " mode"]:
    """Signed frequencies -m/2 .. (m-1)/2 kept along a complex axis, lowest first."""
    return torch.arange(n_modes, dtype=torch.float64) - n_modes // 2


def half_indices(n_modes: int) -> Float[Tensor, " mode"]:
    """Frequencies 0 .. m/2 kept along the real axis."""
    return torch.arange(n_modes // 2 + 1, dtype=torch.float64)


def _angles(n: int, k: Float[Tensor, " mode"]) -> Float[Tensor, "point mode"]:
    # The product is reduced modulo n before it becomes an angle: exact for every n.
    return 2 * math.pi / n * torch.remainder(torch.arange(n, dtype=torch.float64)[:, None] * k, n)


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def real_analysis(n: int, n_modes: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "point two_mode"]:
    """[cos | -sin] / n of the last axis: u @ matrix holds real, then imaginary parts of u_hat(k), k = 0 .. m/2."""
    angles = _angles(n, half_indices(n_modes))
    return (torch.cat([angles.cos(), -angles.sin()], dim=1) / n).to(device=device, dtype=dtype)


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def real_synthesis(n: int, n_modes: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "two_mode point"]:
    """Inverse of `real_analysis` on band-limited functions; frequencies with a conjugate partner count twice."""
    k = half_indices(n_modes)
    angles = _angles(n, k)
    partners = torch.where((k == 0) | (2 * k == n), 1.0, 2.0)[:, None]
    return torch.cat([partners * angles.cos().T, -partners * angles.sin().T]).to(device=device, dtype=dtype)


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def complex_analysis(n: int, n_modes: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "two_mode point"]:
    """[cos; -sin] / n of a complex axis: the real and the imaginary part of exp(-i k x) / n, one above the other."""
    angles = _angles(n, wave_indices(n_modes)).T
    return (torch.cat([angles.cos(), -angles.sin()]) / n).to(device=device, dtype=dtype)


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def complex_synthesis(
    n: int, n_modes: int, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "two_point mode"]:
    """[cos; sin] of a complex axis: the real and the imaginary part of exp(i k x), one above the other."""
    angles = _angles(n, wave_indices(n_modes))
    return torch.cat([angles.cos(), angles.sin()]).to(device=device, dtype=dtype)


def apply_complex(
    stacked: Float[Tensor, "two_out inner"],
    re: Float[Tensor, "batch inner rest"],
    im: Float[Tensor, "batch inner rest"],
) -> tuple[Float[Tensor, "batch out rest"], Float[Tensor, "batch out rest"]]:
    """(A + iB)(re + i im) for `stacked` = [A; B], as one product with the large tensor and sums of small ones."""
    product = torch.matmul(stacked, torch.cat([re, im], dim=2))
    # Unbinding a view keeps the backward pass to one copy; slices would each fill a whole tensor with zeros.
    a, b = product.reshape(product.shape[0], 2, -1, 2, re.shape[2]).unbind(1)
    (a_re, a_im), (b_re, b_im) = a.unbind(2), b.unbind(2)
    return a_re - b_im, a_im + b_re
