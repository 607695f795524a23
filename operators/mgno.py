"""The multigrid neural operator, in any dimension, on any grid size."""

from collections.abc import Sequence
from dataclasses import replace

from torch import nn
from torch.nn import functional as F

from duhamel.fields import Parameters, Problem, State
from duhamel.operators.base import Operator, shift_period
from duhamel.operators.conditioning import Concatenation, Conditioning
from duhamel.operators.multigrid import Cycle, MultigridCycle
from duhamel.operators.pointwise import Pointwise
from duhamel.operators.stencil import Stencil, ends_of


class MgNO(Operator):
    """v <- gelu(W_k v + C_k v + b_k) with multigrid cycles W_k and pointwise maps C_k; the last map is linear.

    No lifting and no projection: the first cycle takes the inputs as they are, the output is a linear combination of
    the last v without a bias. Boundary conditions enter through the padding of every stencil: Dirichlet and open ends
    see zeros, periodic ends wrap (through the prolongation too), Neumann ends mirror, about the last node or the face
    of the last cell (coarse levels, and `faithful` ones, about the last sample of cells too).

    width: channels of v. pre, post: smoothings of each level (post: none where empty); their number is that of levels.
    skip: the pointwise maps C_k. widening, bias, n_normalised, restrict_residual: see `multigrid.Cycle`.
    closing_cycle: the last map is a cycle too.
    faithful: the published layout in every detail (see `multigrid.Cycle`); of a stationary problem the guess, which
        holds nothing, is left out of the inputs.
    Source: He, Liu and Xu (2024), MgNO: Efficient Parameterization of Linear Operators via Multigrid, ICLR.
    Raises ValueError where the levels do not fit the grid.
    """

    own_resolution_bound = "stencils reach a number of points, not a length"

    def __init__(
        self,
        problem: Problem,
        *,
        width: int = 24,
        n_layers: int = 4,
        pre: Sequence[int] = (1, 1, 1, 2),
        post: Sequence[int] = (),
        skip: bool = True,
        widening: bool = False,
        bias: bool = False,
        n_normalised: int = 0,
        restrict_residual: bool = False,
        closing_cycle: bool = False,
        conditioning: Conditioning = Concatenation(),
        faithful: bool = False,
    ) -> None:
        super().__init__(problem)
        pre, post = tuple(pre), tuple(post) or (0,) * len(pre)
        if width < 1 or n_layers < 1 or not pre or pre[0] < 1 or len(post) != len(pre) or min(*pre, *post) < 0:
            raise ValueError(
                f"width {width} and n_layers {n_layers} must be positive, and pre {pre} and post {post} count the "
                "smoothings of the same levels, at least one before the first restriction"
            )
        cycle = Cycle(
            pre=pre,
            post=post,
            widening=widening,
            bias=bias,
            n_normalised=n_normalised,
            restrict_residual=restrict_residual,
            faithful=faithful,
        )
        grid = problem.grid
        self.own_shift_period = 0 if faithful else shift_period(grid, halvings=len(pre) - 1)
        self.conditioning = conditioning.bind(problem, state=not (faithful and problem.steady))
        widths = [self.conditioning.n_inputs, *(width for _ in range(n_layers))]
        self.cycles = nn.ModuleList(
            MultigridCycle(n_in, n_out, grid=grid, cycle=cycle)
            for n_in, n_out in zip(widths[:-1], widths[1:], strict=True)
        )
        self.skips = nn.ModuleList(
            Pointwise(n_in, n_out) for n_in, n_out in zip(widths[:-1], widths[1:], strict=True) if skip
        )
        self.modulations = nn.ModuleList(self.conditioning.modulation(width) for _ in self.cycles)
        n_out = self.conditioning.n_outputs
        self.last = (
            MultigridCycle(width, n_out, grid=grid, cycle=replace(cycle, n_normalised=0))
            if closing_cycle
            else Stencil(width, n_out, ends=ends_of(grid), size=1, bias=False)
        )

    def forward(self, u: State, params: Parameters) -> State:
        v = self.conditioning.encode(u, params)
        for i, (cycle, modulation) in enumerate(zip(self.cycles, self.modulations, strict=True)):
            w = cycle(v)
            if self.skips:
                w = w + self.skips[i](v)
            v = F.gelu(modulation(w, params))
        return self.conditioning.decode(self.last(v))
