"""A learned multigrid cycle: a bounded linear operator between functions, from stencils on a hierarchy of grids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from duhamel.fields import Grid
from duhamel.operators.stencil import TRANSPOSED, Ends, Prolongation, SpatialNorm, Stencil, ends_of

Data = Float[Tensor, "batch channel_f *space"]
Unknown = Float[Tensor, "batch channel_u *space"]
CoarseData = Float[Tensor, "batch coarse_f *coarse"]
CoarseUnknown = Float[Tensor, "batch coarse_u *coarse"]


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """Shape of a cycle. Level 0 is the finest; level l + 1 holds every second sample of level l.

    pre, post: smoothings of each level on the way down and up; without any on the way up it is a backslash cycle.
    widening: level l has l + 1 times the channels of the finest.
    bias: smoothers and operators are affine, not linear.
    n_normalised: on so many of the finest levels the merged solution is normalised, which is not linear either.
    restrict_residual: the coarse problem is that of the residual f - A u, as in textbooks, not of f.
    faithful: as published. Coarse values vanish beyond the ends whatever the boundary, kernels of the prolongation
        follow the parity of the trained grid, normalisations have a gain for every grid point; a widening cycle does
        not pad when it restricts, and carries an operator at its first smoothing that is never applied.
    """

    pre: tuple[int, ...]
    post: tuple[int, ...]
    widening: bool = False
    bias: bool = False
    n_normalised: int = 0
    restrict_residual: bool = False
    faithful: bool = False

    @property
    def n_levels(self) -> int:
        return len(self.pre)

    @property
    def padded(self) -> bool:
        return not (self.faithful and self.widening)

    def shapes(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Points of every level below `shape`. Raises ValueError where a level would keep fewer than two an axis."""
        shapes = [shape]
        for _ in range(self.n_levels - 1):
            shapes.append(tuple((n + 1) // 2 if self.padded else (n - 1) // 2 for n in shapes[-1]))
        if min(shapes[-1]) < 2:
            raise ValueError(f"{self.n_levels} levels below a grid of {shape} points leave {shapes[-1]}: take fewer")
        return shapes


class Smoothing(nn.Module):
    """u <- u + S (f - A u), each step with an A and an S of its own; u = S f where u is zero still."""

    def __init__(self, n_f: int, n_u: int, *, ends: Ends, cycle: Cycle, first: bool) -> None:
        super().__init__()
        self.smooth = Stencil(n_f, n_u, ends=ends, bias=cycle.bias)
        idle = first and not (cycle.faithful and cycle.widening)
        self.apply_operator = None if idle else Stencil(n_u, n_f, ends=ends, bias=cycle.bias)

    def forward(self, f: Data, u: Unknown | None) -> Unknown:
        if u is None:
            return self.smooth(f)
        assert self.apply_operator is not None
        return u + self.smooth(f - self.apply_operator(u))


class FixedProlongation(nn.Module):
    """A transposed convolution as published: of 4 fine samples where their number is even, of 3 where it is odd."""

    def __init__(self, in_channels: int, out_channels: int, *, fine: tuple[int, ...], padding: int) -> None:
        super().__init__()
        size = tuple(4 if n % 2 == 0 else 3 for n in fine)
        convolution = TRANSPOSED[len(fine)]
        self.convolution = convolution(in_channels, out_channels, size, stride=2, padding=padding, bias=False)

    def forward(self, u: CoarseUnknown, shape: tuple[int, ...]) -> Unknown:
        return self.convolution(u)


class Level(nn.Module):
    """One grid of a cycle, and the way to the next coarser one, which the coarsest lacks."""

    restrict_f: Stencil
    restrict_u: Stencil
    prolong: nn.Module

    def __init__(
        self, n_f: Sequence[int], n_u: Sequence[int], level: int, *, grid: Grid, cycle: Cycle, shape: tuple[int, ...]
    ) -> None:
        super().__init__()

        ends = ends_of(grid, on_samples=level > 0 or cycle.faithful)

        def smoothings(n: int, *, first: bool) -> nn.ModuleList:
            return nn.ModuleList(
                Smoothing(n_f[level], n_u[level], ends=ends, cycle=cycle, first=first and i == 0) for i in range(n)
            )

        def restriction(n: Sequence[int]) -> Stencil:
            return Stencil(n[level], n[level + 1], ends=ends, stride=2, bias=False, padded=cycle.padded)

        self.pre = smoothings(cycle.pre[level], first=level == 0)
        self.post = smoothings(cycle.post[level], first=False)
        self.residual: Stencil | None = None
        self.norm: nn.Module | None = None
        if level == cycle.n_levels - 1:
            return
        self.restrict_f, self.restrict_u = restriction(n_f), restriction(n_u)
        if cycle.restrict_residual:
            self.residual = Stencil(n_u[level], n_f[level], ends=ends, bias=False)
        if cycle.faithful:
            padding = 1 if cycle.padded else 0
            self.prolong = FixedProlongation(n_u[level + 1], n_u[level], fine=shape, padding=padding)
        else:
            self.prolong = Prolongation(n_u[level + 1], n_u[level], ends=ends_of(grid, on_samples=True))
        if level < cycle.n_normalised:
            self.norm = nn.LayerNorm((n_u[level], *shape)) if cycle.faithful else SpatialNorm(n_u[level])

    def down(self, f: Data, u: Unknown | None) -> Unknown:
        for smoothing in self.pre:
            u = smoothing(f, u)
        assert u is not None
        return u

    def coarse(self, f: Data, u: Unknown) -> tuple[CoarseData, CoarseUnknown]:
        """Data and guess of the next level."""
        return self.restrict_f(f if self.residual is None else f - self.residual(u)), self.restrict_u(u)

    def up(self, f: Data, u: Unknown, coarse: CoarseUnknown) -> Unknown:
        u = u + self.prolong(coarse, tuple(u.shape[2:]))
        if self.norm is not None:
            u = self.norm(u)
        for smoothing in self.post:
            u = smoothing(f, u)
        return u


class MultigridCycle(nn.Module):
    """u = W f by one multigrid cycle from u = 0: He, Liu and Xu (2024), MgNO, algorithm 1.

    Downwards each level smooths, then restricts data and solution, R f and Pi u, to the next, which starts from the
    latter (a full approximation scheme); upwards each adds the prolonged coarse solution, u + P u_coarse, and smooths.
    Without `bias` and normalisation it is linear in f. Without `faithful` it commutes with shifts along periodic axes
    by 2^(n_levels - 1) samples where that divides their number. With Pi = 0 and `restrict_residual` it is the textbook
    correction scheme.
    """

    def __init__(self, in_channels: int, out_channels: int, *, grid: Grid, cycle: Cycle) -> None:
        super().__init__()
        widths = [level + 1 if cycle.widening else 1 for level in range(cycle.n_levels)]
        n_f, n_u = [in_channels * w for w in widths], [out_channels * w for w in widths]
        self.cycle = cycle
        self.levels = nn.ModuleList(
            Level(n_f, n_u, level, grid=grid, cycle=cycle, shape=shape)
            for level, shape in enumerate(cycle.shapes(grid.shape))
        )

    def forward(self, f: Data) -> Unknown:
        self.cycle.shapes(tuple(f.shape[2:]))
        levels = cast(list[Level], list(self.levels))
        data, solutions = [f], [levels[0].down(f, None)]
        for finer, level in zip(levels[:-1], levels[1:], strict=True):
            coarse_f, guess = finer.coarse(data[-1], solutions[-1])
            data.append(coarse_f)
            solutions.append(level.down(coarse_f, guess))
        u = solutions[-1]
        for i in reversed(range(len(levels) - 1)):
            u = levels[i].up(data[i], solutions[i], u)
        return u
