"""Diffusion with sorption, by an explicit scheme whose steps grow with the square of its stages."""

import math
from collections.abc import Callable
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.pdes import DiffusionSorption
from duhamel.solvers.base import Solver, reference_solver, require_step
from duhamel.solvers.transfer import CellMeans, Transfer


class SuperTimeStepping:
    """u_t = M(u) for a diffusive M, marched over dt in `substeps` steps of Runge-Kutta-Legendre, of order 2.

    A step of s stages is stable up to (s^2 + s - 2) / 2 over the spectral radius of M: 40 stages go as far as 410
    steps of Heun's.

    spectral_radius: (grid, params) -> a bound on it, one number; the most over the batch, so that samples with
        diffusivities of their own take the stages of the fastest.

    Source: Meyer, Balsara and Aslam (2014), J. Comput. Phys. 257, eqs. (16)-(18).
    """

    order: ClassVar[int] = 2
    transfer: ClassVar[Transfer] = CellMeans()

    def __init__(
        self,
        grid: Grid,
        dt: float,
        *,
        tendency: Callable[[Tensor, Parameters, Grid], Tensor],
        spectral_radius: Callable[[Grid, Parameters], float],
        substeps: int = 1,
    ) -> None:
        self.grid = grid
        self.dt = dt
        self.tendency = tendency
        self.spectral_radius = spectral_radius
        self.substeps = substeps

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        step = self.dt / self.substeps
        n_stages = stages(step * self.spectral_radius(self.grid, params))
        for _ in range(self.substeps):
            u = self._step(u, params, step, n_stages)
        if not bool(u.isfinite().all()):
            raise ValueError(f"the state is no longer finite with dt = {self.dt} in {self.substeps} steps")
        return u

    def _step(self, u: Tensor, params: Parameters, step: float, n_stages: int) -> Tensor:
        w = 4 / (n_stages**2 + n_stages - 2)
        b = [1 / 3, 1 / 3, *((j**2 + j - 2) / (2 * j * (j + 1)) for j in range(2, n_stages + 1))]
        start = self.tendency(u, params, self.grid)
        before, now = u, u + b[1] * w * step * start
        for j in range(2, n_stages + 1):
            mu, nu = (2 * j - 1) / j * b[j] / b[j - 1], (1 - j) / j * b[j] / b[j - 2]
            push = self.tendency(now, params, self.grid) - (1 - b[j - 1]) * start
            before, now = now, mu * now + nu * before + (1 - mu - nu) * u + mu * w * step * push
        return now


def stages(reach: float) -> int:
    """The least odd number s of at least 3 with (s^2 + s - 2) / 2 >= reach; odd ones damp the highest modes."""
    s = max(3, math.ceil((-1 + math.sqrt(9 + 8 * reach)) / 2))
    return s + 1 - s % 2


@reference_solver.register
def _(pde: DiffusionSorption, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    require_step(dt, substeps)
    pde.require_grid(grid)

    def spectral_radius(grid: Grid, params: Parameters) -> float:
        pde.require_params(params)
        # Retardation is at least 1. Half cells at the ends: 6 / h^2 in their rows.
        return 6 * float(params.scalars[:, 0].detach().max()) / grid.spacing[0] ** 2

    return SuperTimeStepping(grid, dt, tendency=pde.tendency, spectral_radius=spectral_radius, substeps=substeps)
