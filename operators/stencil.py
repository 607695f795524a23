"""Convolutions with small kernels in any dimension, their ends padded as the boundary of each axis asks."""

from collections.abc import Callable
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.fields import Boundary, Centring, Grid

In = Float[Tensor, "batch channel_in *space"]
Out = Float[Tensor, "batch channel_out *space_out"]
Ends = tuple[str, ...]

CONVOLUTIONS: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Callable[..., nn.Module]] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
ZERO = "constant"


def ends_of(grid: Grid, *, on_samples: bool = False) -> Ends:
    """How samples go on beyond both ends of each axis: they wrap, are mirrored where the normal derivative is zero, or
    vanish.

    The mirror is on the last node, or half a spacing beyond the last cell. on_samples: it is on the last sample of
    cells too, as is nearly so of every second sample, every fourth, and so on, whose ends are half a cell away still.
    """
    cells = grid.centring is Centring.CELL and not on_samples
    kinds = {Boundary.PERIODIC: "circular", Boundary.NEUMANN: "symmetric" if cells else "reflect"}
    return tuple(kinds.get(b, ZERO) for b in grid.boundary)


def zeros(dim: int) -> Ends:
    """Zeros beyond all ends, whatever the boundary."""
    return (ZERO,) * dim


def vanish(ends: Ends) -> bool:
    """Whether there are zeros beyond all ends, which a convolution adds by itself, without a copy."""
    return set(ends) == {ZERO}


def pad(u: In, width: int, ends: Ends) -> Float[Tensor, "batch channel_in *padded"]:
    """`width` more values at both ends of every axis."""
    for kind in dict.fromkeys(ends):
        if kind == "symmetric":
            continue
        widths = [(width, width) if k == kind else (0, 0) for k in reversed(ends)]
        u = F.pad(u, list(chain.from_iterable(widths)), mode=kind)
    for axis, kind in enumerate(ends, start=2):
        if kind == "symmetric":
            left, right = (u.narrow(axis, at, width).flip(axis) for at in (0, u.shape[axis] - width))
            u = torch.cat([left, u, right], dim=axis)
    return u


class Stencil(nn.Module):
    """A convolution over `size` neighbours an axis, at every `stride`-th sample; n samples become ceil(n / stride).

    size: odd. groups: channels are mixed within each of so many groups.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        ends: Ends,
        size: int = 3,
        stride: int = 1,
        bias: bool = True,
        groups: int = 1,
        padded: bool = True,
    ) -> None:
        super().__init__()
        if size % 2 != 1:
            raise ValueError(f"a stencil has a centre: its size must be odd, got {size}")
        self.ends = ends
        width = size // 2 if padded else 0
        added, self.width = (width, 0) if vanish(ends) else (0, width)
        options = {"stride": stride, "padding": added, "bias": bias, "groups": groups}
        self.convolution = CONVOLUTIONS[len(ends)](in_channels, out_channels, size, **options)

    def forward(self, u: In) -> Out:
        return self.convolution(pad(u, self.width, self.ends) if self.width else u)


class Prolongation(nn.Module):
    """From every second sample to all of them: v_i = sum_j w_{i - 2 j} u_j over four fine samples for each coarse one.

    The coarse samples wrap, mirror or vanish beyond the ends as the boundary asks, so that the map commutes with shifts
    by two on periodic axes of even length. Linear interpolation (weights 1/2, 1, 1/2, 0) is one of these maps.
    """

    def __init__(self, in_channels: int, out_channels: int, *, ends: Ends) -> None:
        super().__init__()
        self.ends = ends
        self.convolution = TRANSPOSED[len(ends)](in_channels, out_channels, 4, stride=2, padding=1, bias=False)

    def forward(self, u: In, shape: tuple[int, ...]) -> Out:
        """shape: of the finer grid, 2 n or 2 n - 1 for each n."""
        first, padded = (0, u) if vanish(self.ends) else (2, pad(u, 1, self.ends))
        v: Tensor = self.convolution(padded)
        for axis, n in enumerate(shape, start=2):
            v = v.narrow(axis, first, n)
        return v


class SpatialNorm(nn.Module):
    """(v - mean) / sqrt(variance + eps) of each sample and channel over space, then gain and shift of each channel.

    Means over equally spaced samples are integrals over the domain, so the layer does not depend on the resolution, and
    on periodic axes it commutes with shifts.
    """

    def __init__(self, n_channels: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(n_channels))
        self.shift = nn.Parameter(torch.zeros(n_channels))
        self.eps = eps

    def axes(self, v: Float[Tensor, "batch channel *space"]) -> tuple[int, ...]:
        """Those that means are taken over."""
        return tuple(range(2, v.ndim))

    def forward(self, v: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *space"]:
        axes = self.axes(v)
        centred = v - v.mean(axes, keepdim=True)
        scale = (centred.square().mean(axes, keepdim=True) + self.eps).rsqrt()
        aligned = (-1, *(1,) * (v.ndim - 2))
        return centred * scale * self.gain.reshape(aligned) + self.shift.reshape(aligned)


class ChannelNorm(SpatialNorm):
    """(v - mean) / sqrt(variance + eps) over the channels of each point, then gain and shift of each channel."""

    def axes(self, v: Float[Tensor, "batch channel *space"]) -> tuple[int, ...]:
        return (1,)
