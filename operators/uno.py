"""The U-shaped neural operator: Fourier layers between ever smaller spaces and back."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.fields import Grid, Parameters, Problem, State, resample
from duhamel.operators.base import Operator, shift_period
from duhamel.operators.conditioning import Concatenation, Conditioner, Conditioning, Hidden
from duhamel.operators.pointwise import Pointwise, PointwiseMLP
from duhamel.operators.spectral_conv import SpectralConv

Out = Float[Tensor, "batch hidden_out *target"]


class Scaled(nn.Module):
    """v -> gelu(m(K v + W v + b)) from functions on one grid to functions on another, W v resampled to it."""

    def __init__(self, n_in: int, n_out: int, *, n_modes: tuple[int, ...], conditioner: Conditioner) -> None:
        super().__init__()
        self.spectral = SpectralConv(n_in, n_out, n_modes=n_modes, bias=True)
        self.skip = Pointwise(n_in, n_out, bias=False)
        self.modulation = conditioner.modulation(n_out)

    def forward(self, v: Hidden, params: Parameters, grid: Grid, target: Grid) -> Out:
        local = v if target == grid else resample(v, grid, target)
        return F.gelu(self.modulation(self.skip.add_to(self.spectral(v, target.shape).to(v.dtype), local), params))


class UNO(Operator):
    """Lifting, Fourier layers that halve the grid and widen the channels, as many back, projection.

    What enters a level on the way down is joined, as channels, to what comes back to it. A level below has half the
    points of the one above, whatever that has, so that the operator converges under refinement.

    n_modes: total kept frequencies per axis of the finest level; each level below keeps half of them.
    width: channels of the finest level. multipliers: of `width`, for each level, the finest first.
    n_blocks: Fourier layers on the coarsest level.
    Source: Rahman, Ross and Azizzadenesheli (2023), U-NO: U-shaped Neural Operators, TMLR. Functions are resampled by
        their interpolants (`duhamel.fields.resample`).
    Raises ValueError where the levels do not fit the grid or keep no frequency.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        n_modes: int = 16,
        width: int = 32,
        multipliers: Sequence[int] = (1, 2, 2),
        n_blocks: int = 1,
        conditioning: Conditioning = Concatenation(),
    ) -> None:
        super().__init__(problem)
        widths, dim = [width * m for m in multipliers], problem.grid.ndim
        if len(widths) < 2 or min(*widths, n_blocks) < 1:
            raise ValueError(
                f"width {width}, n_blocks {n_blocks} and multipliers {tuple(multipliers)} must be positive, the latter "
                "at least two"
            )
        modes = [(n_modes // 2**level,) * dim for level in range(len(widths))]
        for level, grid in enumerate(self._levels(problem.grid, len(widths))):
            if not 1 <= modes[level][0] <= min(grid.shape):
                raise ValueError(f"level {level} of shape {grid.shape} would keep {modes[level][0]} modes an axis")
        self.own_shift_period = shift_period(problem.grid, halvings=len(widths) - 1)
        self.conditioning = conditioning.bind(problem)
        self.lifting = PointwiseMLP(self.conditioning.n_inputs, 2 * width, widths[0])

        def layer(n_in: int, n_out: int, level: int) -> Scaled:
            return Scaled(n_in, n_out, n_modes=modes[level], conditioner=self.conditioning)

        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        # Between two grids the coarser one's frequencies pass.
        self.down = nn.ModuleList(layer(a, b, level + 1) for level, (a, b) in enumerate(pairs))
        self.coarsest = nn.ModuleList(layer(widths[-1], widths[-1], len(pairs)) for _ in range(n_blocks))
        self.up = nn.ModuleList(layer(b, a, level + 1) for level, (a, b) in enumerate(pairs))
        self.merge = nn.ModuleList(layer(2 * a, a, level) for level, (a, _) in enumerate(pairs))
        self.projection = PointwiseMLP(widths[0], 2 * width, self.conditioning.n_outputs)

    @staticmethod
    def _levels(grid: Grid, n: int) -> list[Grid]:
        """Each grid with half of the intervals of the one before: its points are among those of a node-centred one."""
        grids = [grid]
        for _ in range(n - 1):
            shape = tuple((m + 1) // 2 + points - m for points, m in zip(grid.shape, grid.intervals, strict=True))
            if min(shape) < 4:
                raise ValueError(f"{n} levels below a grid of {grids[0].shape} points leave {shape}, an axis needs 4")
            grid = grid.with_shape(shape)
            grids.append(grid)
        return grids

    def forward(self, u: State, params: Parameters) -> State:
        grids = self._levels(self.grid_of(u), len(self.down) + 1)
        v = self.lifting(self.conditioning.encode(u, params))
        skips = []
        for level, down in enumerate(self.down):
            skips.append(v)
            v = down(v, params, grids[level], grids[level + 1])
        for layer in self.coarsest:
            v = layer(v, params, grids[-1], grids[-1])
        for level in reversed(range(len(self.up))):
            v = self.up[level](v, params, grids[level + 1], grids[level])
            v = self.merge[level](torch.cat([v, skips[level]], dim=1), params, grids[level], grids[level])
        return self.conditioning.decode(self.projection(v))
