"""Linear equations with constant coefficients, exactly."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.fields.extension import extend, extended, restrict
from duhamel.pdes.semilinear import LinearPDE
from duhamel.solvers.base import EXACT, Solver, reference_solver, require_step
from duhamel.solvers.transfer import PointValues, Transfer


class FourierExponential:
    """u(t + dt) = exp(L dt) u(t) for the trigonometric interpolant: each coefficient times exp(symbol dt).

    Dirichlet and Neumann axes are solved on their odd and even extension.
    """

    order: ClassVar[int] = EXACT
    transfer: ClassVar[Transfer] = PointValues()

    def __init__(self, pde: LinearPDE, grid: Grid, dt: float) -> None:
        pde.require_grid(grid)
        self.pde = pde
        self.grid = grid
        self.dt = dt
        self.space = pde.space(extended(grid))

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        self.pde.require_params(params)
        v = self.space.modes(extend(u, self.grid))
        turn = torch.exp(self.dt * self.pde.symbol(params, self.space))
        real = v.real.dtype
        return restrict(self.space.samples(v * turn.to(v.dtype if turn.is_complex() else real)), self.grid)


@reference_solver.register
def _(pde: LinearPDE, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    """One exponential whatever `substeps` is: exponentials compose exactly."""
    require_step(dt, substeps)
    return FourierExponential(pde, grid, dt)
