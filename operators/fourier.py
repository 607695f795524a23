"""The truncated discrete Fourier transform as real matrices.

An operator that keeps m of n frequencies needs a small n x 2K matrix, not a full FFT: the product runs in any
precision, on any grid size, and is exact and linear. Coefficients follow numpy's norm="forward": those of the
function, not of the grid, so they do not change with its resolution. Tables are kept; made outside inference mode, they
serve training too, whoever asked first.
"""

import math
from collections.abc import Callable
from functools import lru_cache, wraps

import torch
from jaxtyping import Float
from torch import Tensor

State = Float[Tensor, "batch channel *space"]
Spectrum = Float[Tensor, "mode 2 batch channel"]


def wave_indices(n_modes: int, device: torch.device) -> Float[Tensor, " mode"]:
    """Signed frequencies -m/2 .. (m-1)/2 kept along a complex axis, lowest first."""
    return torch.arange(n_modes, dtype=torch.float64, device=device) - n_modes // 2


def half_indices(n_modes: int, device: torch.device) -> Float[Tensor, " mode"]:
    """Frequencies 0 .. m/2 kept along the real axis."""
    return torch.arange(n_modes // 2 + 1, dtype=torch.float64, device=device)


def _table(make: Callable[[int, int, torch.device], Tensor]) -> Callable[..., Tensor]:
    """The table in float64 becomes one of any dtype on any device, and is kept.

    A compiled graph computes it once a call instead, so that it may serve grids of any size, and on the device: a graph
    that waits for the host could not be replayed as a CUDA graph.
    """

    @lru_cache(maxsize=256)
    @torch.inference_mode(False)
    def kept(n: int, n_modes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        return make(n, n_modes, torch.device("cpu")).to(device=device, dtype=dtype)

    @wraps(make)
    def table(n: int, n_modes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        if torch.compiler.is_compiling():
            return make(n, n_modes, device).to(dtype)
        return kept(n, n_modes, dtype, device)

    return table


def constant_mode(n_modes: tuple[int, ...]) -> int:
    """Place of k = 0 among the kept frequencies in one row."""
    place = 0
    for m in n_modes[:-1]:
        place = place * m + m // 2
    return place * (n_modes[-1] // 2 + 1)


def operations(n_modes: tuple[int, ...], points: tuple[int, ...]) -> int:
    """Multiplications and additions of `analyse` for one channel; those of `synthesise` are about as many."""
    rows, columns = math.prod(points[:-1]), 2 * (n_modes[-1] // 2 + 1)
    total = 2 * rows * points[-1] * columns
    for n, m in zip(reversed(points[:-1]), reversed(n_modes[:-1]), strict=True):
        rows //= n
        total += 2 * rows * 2 * m * n * columns
        columns *= m
    return total


def _angles(n: int, k: Float[Tensor, " mode"]) -> Float[Tensor, "point mode"]:
    # The product is reduced modulo n before it becomes an angle: exact for every n.
    return 2 * math.pi / n * torch.remainder(torch.arange(n, dtype=torch.float64, device=k.device)[:, None] * k, n)


@_table
def real_analysis(n: int, n_modes: int, device: torch.device) -> Float[Tensor, "point two_mode"]:
    """[cos | -sin] / n of the last axis: u @ matrix holds real, then imaginary parts of u_hat(k), k = 0 .. m/2."""
    angles = _angles(n, half_indices(n_modes, device))
    return torch.cat([angles.cos(), -angles.sin()], dim=1) / n


@_table
def real_synthesis(n: int, n_modes: int, device: torch.device) -> Float[Tensor, "two_mode point"]:
    """Inverse of `real_analysis` on band-limited functions; frequencies with a conjugate partner count twice."""
    k = half_indices(n_modes, device)
    angles = _angles(n, k)
    partners = torch.where((k == 0) | (2 * k == n), 1.0, 2.0)[:, None]
    return torch.cat([partners * angles.cos().T, -partners * angles.sin().T])


@_table
def complex_analysis(n: int, n_modes: int, device: torch.device) -> Float[Tensor, "two_mode point"]:
    """[cos; -sin] / n of a complex axis: the real and the imaginary part of exp(-i k x) / n, one above the other."""
    angles = _angles(n, wave_indices(n_modes, device)).T
    return torch.cat([angles.cos(), -angles.sin()]) / n


@_table
def complex_synthesis(n: int, n_modes: int, device: torch.device) -> Float[Tensor, "point two_mode"]:
    """[cos | sin] of a complex axis: the real and the imaginary part of exp(i k x), side by side."""
    angles = _angles(n, wave_indices(n_modes, device))
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def analyse(u: State, n_modes: tuple[int, ...]) -> Spectrum:
    """Kept coefficients of a real state, axis by axis from the last, each one product with the large tensor."""
    batch, channels, *points = u.shape
    table = real_analysis(points[-1], n_modes[-1], u.dtype, u.device)
    packed = torch.matmul(u, table)
    for axis in reversed(range(len(points) - 1)):
        n, m = points[axis], n_modes[axis]
        stacked = complex_analysis(n, m, u.dtype, u.device)
        product = torch.matmul(stacked, packed.reshape(batch * channels * math.prod(points[:axis]), n, -1))
        # (A + iB)(re + i im), the sums on tensors that are small already.
        (a_re, a_im), (b_re, b_im) = (
            part.unbind(2) for part in product.unflatten(1, (2, m)).unflatten(3, (2, -1)).unbind(1)
        )
        packed = torch.stack([a_re - b_im, a_im + b_re], dim=1)
    # Copied once into the order of the next product: batched products of strided matrices are done one by one.
    return packed.reshape(batch, channels, 2, -1).permute(3, 2, 0, 1).contiguous()


def synthesise(spectrum: Spectrum, n_modes: tuple[int, ...], points: tuple[int, ...]) -> State:
    """The real state with these coefficients on a grid of `points`, axis by axis from the first."""
    batch, channels = spectrum.shape[2:]
    packed, rows = spectrum.permute(2, 3, 1, 0), batch * channels
    for n, m in zip(points[:-1], n_modes[:-1], strict=True):
        re, im = packed.reshape(rows, 2, m, -1).unbind(1)
        # [C | S] [[re, im], [-im, re]]: the sums are part of the product, the large tensor is written once.
        turned = torch.cat([torch.cat([re, im], dim=2), torch.cat([-im, re], dim=2)], dim=1)
        packed = torch.matmul(complex_synthesis(n, m, packed.dtype, packed.device), turned)
        rows *= n
    table = real_synthesis(points[-1], n_modes[-1], packed.dtype, packed.device)
    return torch.mm(packed.reshape(rows, -1), table).reshape(batch, channels, *points)
