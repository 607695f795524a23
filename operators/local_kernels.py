"""Convolutions that see a neighbourhood of fixed size in space, however many points it holds."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from duhamel.fields import Grid, State
from duhamel.operators.stencil import ends_of, pad
from duhamel.operators.tracing import require_known_grid

Out = Float[Tensor, "batch channel_out *space"]
Functions = Float[Tensor, "function *offset"]

CONVOLVE = {1: nn.functional.conv1d, 2: nn.functional.conv2d, 3: nn.functional.conv3d}


class DifferentialKernel(nn.Module):
    """(D v)(x) = (h_0 / h) sum_k (w_k - mean w) v(x + k h), |k| <= 1 an axis: a derivative in the limit.

    The mean of the weights is taken off, so that constants vanish and the sum over neighbours, divided by the spacing,
    tends to h_0 sum_k w_k k . grad v. h_0 is the spacing of the grid of training: there it is a stencil of order one.

    Source: Liu-Schiaffini et al. (2024), Neural Operators with Localized Integral and Differential Kernels, ICML.
    Raises ValueError at use on a grid whose axes are not refined alike: the limit would be another.
    """

    def __init__(self, in_channels: int, out_channels: int, *, grid: Grid) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_channels * 3**grid.ndim)
        shape = (out_channels, in_channels, *(3,) * grid.ndim)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.spacing = grid.spacing

    def forward(self, v: State, grid: Grid) -> Out:
        ratios = [h0 / h for h0, h in zip(self.spacing, grid.spacing, strict=True)]
        if max(ratios) - min(ratios) > 1e-9 * max(ratios):
            raise ValueError(
                f"a differential kernel needs all axes refined by one factor, got {[f'{r:g}' for r in ratios]} times "
                "the points of training"
            )
        space = tuple(range(2, v.ndim))
        kernel = ratios[0] * (self.weight - self.weight.mean(space, keepdim=True))
        return CONVOLVE[grid.ndim](pad(v, 1, ends_of(grid)), kernel.to(v.dtype))


class IntegralKernel(nn.Module):
    """(L v)(x) = int kappa(y - x) v(y) dy / r^d over |y - x| < r an axis, by the trapezoidal rule.

    kappa is a sum of products of hat functions with nodes at equal distances inside (-r, r), zero at its ends, one
    weight for each and each pair of channels: a discrete-continuous convolution. Beyond the ends of the domain v is
    wrapped, mirrored or zero, as the boundary asks.

    radius: r, in the unit of the grid. n_nodes: hat functions an axis, odd.
    Source: Ocampo, Price and McEwen (2023), Scalable and Equivariant Spherical CNNs by Discrete-Continuous
        Convolutions; Liu-Schiaffini et al. (2024).
    Raises ValueError where nodes are closer than points, here and at use: a hat between two points would see neither.
    """

    def __init__(self, in_channels: int, out_channels: int, *, grid: Grid, radius: float, n_nodes: int = 3) -> None:
        super().__init__()
        if radius <= 0 or n_nodes < 1 or n_nodes % 2 != 1:
            raise ValueError(f"radius {radius} must be positive and n_nodes {n_nodes} odd")
        self.radius, self.n_nodes = radius, n_nodes
        self._check(grid)
        n_functions = n_nodes**grid.ndim
        bound = 1 / math.sqrt(in_channels * n_functions)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, n_functions).uniform_(-bound, bound))

    def _check(self, grid: Grid) -> None:
        distance = 2 * self.radius / (self.n_nodes + 1)
        if max(grid.spacing) > distance * (1 + 1e-9):
            raise ValueError(
                f"{self.n_nodes} nodes within a radius of {self.radius:g} are {distance:g} apart, the points "
                f"{max(grid.spacing):g}: take a larger radius or fewer nodes"
            )

    def forward(self, v: State, grid: Grid) -> Out:
        require_known_grid("a kernel of fixed radius")
        self._check(grid)
        functions = hats(grid.spacing, self.radius, self.n_nodes).to(v)
        kernel = torch.tensordot(self.weight.to(v.dtype), functions, dims=1)
        half = [n // 2 for n in kernel.shape[2:]]
        widest = max(half)
        padded = pad(v, widest, ends_of(grid))
        for axis, (n, points) in enumerate(zip(half, v.shape[2:], strict=True), start=2):
            padded = padded.narrow(axis, widest - n, points + 2 * n)
        return CONVOLVE[grid.ndim](padded, kernel)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def hats(spacing: tuple[float, ...], radius: float, n_nodes: int) -> Functions:
    """Products of hat functions at the offsets |k| h < r, each times the share h^d / r^d of its cell."""
    distance = 2 * radius / (n_nodes + 1)
    nodes = distance * (torch.arange(n_nodes, dtype=torch.float64) - n_nodes // 2)
    functions = torch.ones(1, dtype=torch.float64)
    for h in spacing:
        half = math.ceil(radius / h * (1 - 1e-12)) - 1
        offsets = h * torch.arange(-half, half + 1, dtype=torch.float64)
        one = h / radius * (1 - (offsets - nodes[:, None]).abs() / distance).clamp_min(0)
        functions = (functions[:, None, ..., None] * one.reshape(1, n_nodes, *(1,) * (functions.ndim - 1), -1)).flatten(
            0, 1
        )
    return functions
