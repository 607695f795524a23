"""U-Nets: the baselines that operators are measured against, a modern one and the classic one."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.fields import Grid, Parameters, Problem, State
from duhamel.operators.base import Operator, shift_period
from duhamel.operators.conditioning import Concatenation, Conditioner, Conditioning, Hidden
from duhamel.operators.pointwise import Pointwise, PointwiseMLP
from duhamel.operators.stencil import CONVOLUTIONS, TRANSPOSED, ChannelNorm, Ends, Prolongation, Stencil, ends_of, zeros

Other = Float[Tensor, "batch hidden_out *space"]

INDEX_BOUND = "stencils and strides reach a number of points, not a length"


class ConvNeXtBlock(nn.Module):
    """v + W2 gelu(W1 m(N(D v))): a wide depthwise stencil D, a norm over channels, a pointwise network.

    Source: Liu et al. (2022), A ConvNet for the 2020s, figure 4; the conditioning's modulation m makes N adaptive.
    """

    def __init__(self, width: int, *, size: int, expansion: float, ends: Ends, conditioner: Conditioner) -> None:
        super().__init__()
        self.depthwise = Stencil(width, width, ends=ends, size=size, groups=width)
        self.norm = ChannelNorm(width)
        self.modulation = conditioner.modulation(width)
        self.mlp = PointwiseMLP(width, round(expansion * width), width)

    def forward(self, v: Hidden, params: Parameters) -> Hidden:
        return v + self.mlp(self.modulation(self.norm(self.depthwise(v)), params))


class Stage(nn.ModuleList):
    """Blocks one after another."""

    def forward(self, v: Hidden, params: Parameters) -> Hidden:
        for block in self:
            v = block(v, params)
        return v


class UNet(Operator):
    """A U-Net of ConvNeXt blocks: halved grids down, learned prolongations up, skips added to what comes up.

    width: channels of the finest level. multipliers: of `width`, for each level, the finest first.
    n_blocks: of each level, on the way down and again on the way up (the coarsest has them once).
    size: points of the depthwise stencils. expansion: hidden width of the pointwise networks.
    Source: Ronneberger, Fischer and Brox (2015) for the shape; Gupta and Brandstetter (2023), Towards
        Multi-spatiotemporal-scale Generalized PDE Modeling, on what a modern one achieves.
    Raises ValueError where the levels do not fit the grid.
    """

    own_resolution_bound = INDEX_BOUND

    def __init__(
        self,
        problem: Problem,
        *,
        width: int = 32,
        multipliers: Sequence[int] = (1, 2, 4),
        n_blocks: int = 2,
        size: int = 5,
        expansion: float = 2.0,
        conditioning: Conditioning = Concatenation(),
    ) -> None:
        super().__init__(problem)
        grid, widths = problem.grid, [width * m for m in multipliers]
        if not widths or min(*widths, n_blocks) < 1:
            raise ValueError(f"width {width}, multipliers {multipliers} and n_blocks {n_blocks} must be positive")
        require_levels(grid, len(widths), least=size // 2 + 1)
        self.own_shift_period = shift_period(grid, halvings=len(widths) - 1)
        self.conditioning = conditioning.bind(problem)

        ends = [ends_of(grid, on_samples=level > 0) for level in range(len(widths))]

        def blocks(width: int, ends: Ends) -> Stage:
            return Stage(
                ConvNeXtBlock(width, size=size, expansion=expansion, ends=ends, conditioner=self.conditioning)
                for _ in range(n_blocks)
            )

        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.first = Stencil(self.conditioning.n_inputs, widths[0], ends=ends[0])
        self.down = nn.ModuleList(blocks(w, e) for w, e in zip(widths, ends, strict=True))
        self.coarsen = nn.ModuleList(
            Stencil(a, b, ends=e, stride=2) for (a, b), e in zip(pairs, ends[:-1], strict=True)
        )
        self.refine = nn.ModuleList(Prolongation(b, a, ends=e) for (a, b), e in zip(pairs, ends[1:], strict=True))
        self.up = nn.ModuleList(blocks(w, e) for w, e in zip(widths[:-1], ends[:-1], strict=True))
        self.norm = ChannelNorm(widths[0])
        self.last = Pointwise(widths[0], self.conditioning.n_outputs)

    def forward(self, u: State, params: Parameters) -> State:
        v = self.first(self.conditioning.encode(u, params))
        skips = []
        for i, blocks in enumerate(self.down):
            if i:
                skips.append(v)
                v = self.coarsen[i - 1](v)
            v = blocks(v, params)
        for i in reversed(range(len(self.up))):
            v = skips[i] + self.refine[i](v, tuple(skips[i].shape[2:]))
            v = self.up[i](v, params)
        return self.conditioning.decode(self.last(self.norm(v)))


class DoubleConvolution(nn.Module):
    """tanh(N K v) twice; the conditioning modulates what the second norm gives."""

    def __init__(self, n_in: int, n_out: int, *, ends: Ends, conditioner: Conditioner, faithful: bool):
        super().__init__()
        norm = BATCH_NORMS[len(ends)] if faithful else ChannelNorm
        self.convolutions = nn.ModuleList(Stencil(n, n_out, ends=ends, bias=False) for n in (n_in, n_out))
        self.norms = nn.ModuleList(norm(n_out) for _ in range(2))
        self.modulation = conditioner.modulation(n_out)

    def forward(self, v: Hidden, params: Parameters) -> Other:
        v = torch.tanh(self.norms[0](self.convolutions[0](v)))
        return torch.tanh(self.modulation(self.norms[1](self.convolutions[1](v)), params))


BATCH_NORMS: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOLINGS = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class ClassicUNet(Operator):
    """Ronneberger, Fischer and Brox (2015), U-Net, with tanh: poolings that double the channels, concatenated skips.

    width: channels of the finest level. n_levels: poolings.
    faithful: as in PDEBench's comparison: batch norm instead of a norm over the channels of each point, and zeros
        beyond the ends of every axis. Batch norm mixes the samples of a batch and is not for unrolled training; a norm
        over the space of each channel would remove constant inputs, which is what parameters are.
    Raises ValueError where the levels do not fit the grid.
    """

    own_resolution_bound = INDEX_BOUND

    def __init__(
        self,
        problem: Problem,
        *,
        width: int = 32,
        n_levels: int = 4,
        conditioning: Conditioning = Concatenation(),
        faithful: bool = False,
    ) -> None:
        super().__init__(problem)
        grid = problem.grid
        ends = zeros(grid.ndim) if faithful else ends_of(grid)
        if width < 1 or n_levels < 1:
            raise ValueError(f"width {width} and n_levels {n_levels} must be positive")
        require_levels(grid, n_levels + 1, least=2)
        self.own_shift_period = 0 if faithful else shift_period(grid, halvings=n_levels)
        self.conditioning = conditioning.bind(problem, state=not (faithful and problem.steady))
        widths = [width * 2**level for level in range(n_levels + 1)]

        def double(n_in: int, n_out: int) -> DoubleConvolution:
            return DoubleConvolution(n_in, n_out, ends=ends, conditioner=self.conditioning, faithful=faithful)

        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.down = nn.ModuleList([double(self.conditioning.n_inputs, width), *(double(a, b) for a, b in pairs)])
        self.refine = nn.ModuleList(TRANSPOSED[grid.ndim](b, a, 2, stride=2) for a, b in pairs)
        self.up = nn.ModuleList(double(2 * a, a) for a, _ in pairs)
        self.last = CONVOLUTIONS[grid.ndim](width, self.conditioning.n_outputs, 1)

    def forward(self, u: State, params: Parameters) -> State:
        v = self.conditioning.encode(u, params)
        pool, skips = POOLINGS[u.ndim - 2], []
        for i, block in enumerate(self.down):
            if i:
                skips.append(v)
                v = pool(v, 2, ceil_mode=True)
            v = block(v, params)
        for refine, block, skip in reversed(list(zip(self.refine, self.up, skips, strict=True))):
            v = refine(v)
            for axis, n in enumerate(skip.shape[2:], start=2):
                v = v.narrow(axis, 0, n)
            v = block(torch.cat([v, skip], dim=1), params)
        return self.conditioning.decode(self.last(v))


def require_levels(grid: Grid, n_levels: int, *, least: int) -> None:
    """ValueError where halving the grid leaves fewer than `least` points an axis."""
    coarsest = tuple(-(-n // 2 ** (n_levels - 1)) for n in grid.shape)
    if min(coarsest) < least:
        raise ValueError(
            f"{n_levels} levels below a grid of {grid.shape} points leave {coarsest}, an axis needs {least}"
        )
