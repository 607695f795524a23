"""The classical Runge-Kutta method, for equations that are not stiff."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.fields.runge_kutta import runge_kutta_step
from duhamel.pdes import EvolutionPDE
from duhamel.pdes.lorenz96 import Lorenz96, Lorenz96TwoLevel
from duhamel.solvers.base import Solver, reference_solver, require_step
from duhamel.solvers.transfer import PointValues, Transfer


class RungeKutta4:
    """u_t = F(u) by `substeps` equal steps over dt."""

    order: ClassVar[int] = 4
    transfer: ClassVar[Transfer] = PointValues()

    def __init__(self, pde: EvolutionPDE, grid: Grid, dt: float, *, substeps: int = 1) -> None:
        require_step(dt, substeps)
        self.pde = pde
        self.grid = grid
        self.dt = dt
        self.substeps = substeps

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        self.pde.require_params(params)
        for _ in range(self.substeps):
            u = runge_kutta_step(lambda u: self.pde.tendency(u, params, self.grid), u, self.dt / self.substeps)
        return u


@reference_solver.register(Lorenz96)
@reference_solver.register(Lorenz96TwoLevel)
def _(pde: EvolutionPDE, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    return RungeKutta4(pde, grid, dt, substeps=substeps)
