"""Convolutions with small kernels in any dimension, their ends padded as the boundary of each axis asks."""

from collections.abc import Callable
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.fields import Boundary

In = Float[Tensor, "batch channel_in *space"]
Out = Float[Tensor, "batch channel_out *space_out"]
Boundaries = tuple[Boundary, ...]

CONVOLUTIONS: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Callable[..., nn.Module]] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
# Periodic axes wrap; a zero normal derivative is a mirror; elsewhere the values beyond are zero.
PADDING = {Boundary.PERIODIC: "circular", Boundary.NEUMANN: "reflect"}


def vanishes(boundary: Boundaries) -> bool:
    """Whether values beyond every end are zero, which a convolution adds by itself, without a copy."""
    return not any(b in PADDING for b in boundary)


def pad(u: In, width: int, boundary: Boundaries) -> Float[Tensor, "batch channel_in *padded"]:
    """`width` more values at both ends of every axis: wrapped, mirrored about the last sample, or zero."""
    kinds = [PADDING.get(b, "constant") for b in boundary]
    for kind in dict.fromkeys(kinds):
        widths = [(width, width) if k == kind else (0, 0) for k in reversed(kinds)]
        u = F.pad(u, list(chain.from_iterable(widths)), mode=kind)
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
        boundary: Boundaries,
        size: int = 3,
        stride: int = 1,
        bias: bool = True,
        groups: int = 1,
        padded: bool = True,
    ) -> None:
        super().__init__()
        if size % 2 != 1:
            raise ValueError(f"a stencil has a centre: its size must be odd, got {size}")
        self.boundary = boundary
        width = size // 2 if padded else 0
        zeros, self.width = (width, 0) if vanishes(boundary) else (0, width)
        options = {"stride": stride, "padding": zeros, "bias": bias, "groups": groups}
        self.convolution = CONVOLUTIONS[len(boundary)](in_channels, out_channels, size, **options)

    def forward(self, u: In) -> Out:
        return self.convolution(pad(u, self.width, self.boundary) if self.width else u)


class Prolongation(nn.Module):
    """From every second sample to all of them: v_i = sum_j w_{i - 2 j} u_j over four fine samples for each coarse one.

    The coarse samples wrap, mirror or vanish beyond the ends as the boundary asks, so that the map commutes with shifts
    by two on periodic axes of even length. Linear interpolation (weights 1/2, 1, 1/2, 0) is one of these maps.
    """

    def __init__(self, in_channels: int, out_channels: int, *, boundary: Boundaries) -> None:
        super().__init__()
        self.boundary = boundary
        self.convolution = TRANSPOSED[len(boundary)](in_channels, out_channels, 4, stride=2, padding=1, bias=False)

    def forward(self, u: In, shape: tuple[int, ...]) -> Out:
        """shape: of the finer grid, 2 n or 2 n - 1 for each n."""
        first, padded = (0, u) if vanishes(self.boundary) else (2, pad(u, 1, self.boundary))
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
