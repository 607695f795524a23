"""Channel attention guided by the equation's parameters."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.fields import Parameters, Problem, State
from duhamel.operators.conditioning import Conditioner, Conditioning, Embedding, Hidden, Inputs, Raw, require_scalars
from duhamel.operators.pointwise import Pointwise, broadcast_scalars
from duhamel.operators.spectral_conv import SpectralConv
from duhamel.operators.stencil import SpatialNorm, Stencil, ends_of, zeros


@dataclass(frozen=True, kw_only=True)
class CAPE(Conditioning):
    """A small network that foresees the next state from (u, mu); the operator sees its estimate beside the state.

    h = gelu(K u); y = W gelu(sum_i a_i(mu) * B_i h + S h) with three branches B_i, a truncated Fourier multiplier, a
    pointwise map and a depthwise stencil, each scaled channel by channel by its own attention a_i(mu), an MLP without
    softmax; the estimate is u + N y with a normalisation N over space. With zero attention it does not depend on mu.

    The stencils count points, so that an operator with CAPE is another map on another grid, unless size is 1.

    width: channels of the branches. size: points of the stencils. n_modes: kept frequencies an axis.
    faithful: the published layout. The Fourier branch works on averages of 4 points an axis, the normalisation has a
        gain for every grid point (so that there is no other grid, and shifts do not commute), stencils see zeros beyond
        the ends, the estimate is u (1 + N y) in more than one dimension, and the operator gives 2 c channels, which a
        last layer mixes to c.
    Source: Takamoto, Alesiani and Niepert (2023), Learning Neural PDE Solvers with Parameter-Guided Channel Attention,
        ICML; from the mathematics of the paper alone.
    Raises ValueError for a problem without numbers among its parameters.
    """

    width: int = 64
    size: int = 5
    n_modes: int | Sequence[int] = 16
    embedding: Embedding = Raw()
    faithful: bool = False

    def bind(self, problem: Problem, *, state: bool = True) -> Conditioner:
        require_scalars(self, problem)
        return ChannelAttention(problem, self)


class Attention(nn.Module):
    """a(mu) = W2 gelu(W1 e(mu) + b1) + b2, one number a channel: no softmax, no bounds."""

    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(n_features, width // 2)
        self.outer = nn.Linear(width // 2, width)

    def forward(self, v: Hidden, features: Float[Tensor, "batch feature"]) -> Hidden:
        return v * broadcast_scalars(self.outer(F.gelu(self.inner(features))), (1,) * (v.ndim - 2))


class PooledSpectralConv(nn.Module):
    """A spectral convolution of averages over `factor` points an axis, each value repeated `factor` times."""

    def __init__(self, in_channels: int, out_channels: int, *, n_modes: tuple[int, ...], factor: int = 4) -> None:
        super().__init__()
        self.spectral = SpectralConv(in_channels, out_channels, n_modes=n_modes)
        self.factor = factor

    def forward(self, v: Inputs) -> Hidden:
        if any(n % self.factor for n in v.shape[2:]):
            raise ValueError(f"the published CAPE pools {self.factor} points an axis, got {tuple(v.shape[2:])} points")
        for axis in range(2, v.ndim):
            v = v.unflatten(axis, (-1, self.factor)).mean(axis + 1)
        v = self.spectral(v)
        for axis in range(2, v.ndim):
            v = v.repeat_interleave(self.factor, dim=axis)
        return v


class ChannelAttention(Conditioner):
    """CAPE at work in one operator."""

    def __init__(self, problem: Problem, cape: CAPE) -> None:
        super().__init__(problem, state=True)
        dim, width, n = problem.grid.ndim, cape.width, len(problem.channels)
        modes = (cape.n_modes,) * dim if isinstance(cape.n_modes, int) else tuple(cape.n_modes)
        if width < 2 or width % 2 or len(modes) != dim:
            raise ValueError(f"CAPE needs an even width and n_modes for {dim} axes, got {width} and {cape.n_modes}")
        ends = zeros(dim) if cape.faithful else ends_of(problem.grid)
        self.embedding, self.faithful = cape.embedding, cape.faithful
        self.multiplicative = cape.faithful and dim > 1
        half, n_features = width // 2, cape.embedding.width(len(problem.scalars))
        spectral = PooledSpectralConv if cape.faithful else SpectralConv
        self.lift = Stencil(n, half, ends=ends, size=cape.size, bias=False)
        self.branches = nn.ModuleList(
            [
                spectral(half, width, n_modes=modes),
                Pointwise(half, width),
                Stencil(half, width, ends=ends, size=cape.size, bias=False, groups=half),
            ]
        )
        self.attentions = nn.ModuleList(Attention(n_features, width) for _ in self.branches)
        self.skip = Pointwise(half, width)
        # The norm removes a bias; the published layer has one all the same.
        self.project = Stencil(width, n, ends=ends, size=1, bias=cape.faithful)
        self.norm = nn.LayerNorm(problem.grid.shape) if cape.faithful else SpatialNorm(n)
        self.n_inputs = 2 * n + len(problem.coefficients)
        self.n_outputs = 2 * n if cape.faithful else n
        self.mix = Pointwise(2 * n, n) if cape.faithful else None
        self.shape = tuple(problem.grid.shape)
        if cape.faithful:
            self.resolution_bound = "the published CAPE has a gain for every point of its grid"
            self.idle_tensors = frozenset({"project.convolution.bias"})
        elif cape.size > 1:
            self.resolution_bound = "CAPE's stencils reach a number of points, not a length"
        self.commutes_with_shifts = not cape.faithful

    def estimate(self, u: State, params: Parameters) -> State:
        """The next encoded state as CAPE alone foresees it."""
        if self.faithful and u.shape[2:] != self.shape:
            raise ValueError(f"{self.resolution_bound}, of {self.shape}: there is none for {tuple(u.shape[2:])}")
        features = self.embedding(params.scalars)
        h = F.gelu(self.lift(u))
        attended = [a(b(h), features) for a, b in zip(self.attentions, self.branches, strict=True)]
        y = self.norm(self.project(F.gelu(sum(attended, self.skip(h)))))
        return u * (1 + y) if self.multiplicative else u + y

    def encode(self, u: State, params: Parameters) -> Inputs:
        return torch.cat([u, self.estimate(u, params), params.fields], dim=1)

    def decode(self, v: Float[Tensor, "batch channel_out *space"]) -> State:
        return v if self.mix is None else self.mix(v)
