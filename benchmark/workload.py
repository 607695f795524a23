"""What is to be solved: initial states, parameters and the states that are wanted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duhamel.fields import Grid, Parameters, Problem
from duhamel.pdes import PDE
from duhamel.solvers import Solution, Solver, reference_solver, solve

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Workload:
    """States 1, ..., n_steps on `grid`, dt apart, from u0 and params (float64): what every contender must deliver.

    device: on which contenders compute; samples and the truth stay on the CPU. A stationary problem has dt = 0, one
        step and a zero guess for u0.
    """

    pde: PDE
    grid: Grid
    dt: float
    n_steps: int
    u0: Float[Tensor, "batch channel *space"]
    params: Parameters
    device: torch.device = CPU

    @property
    def problem(self) -> Problem:
        return self.pde.problem(self.grid, self.dt)

    @property
    def n_samples(self) -> int:
        return len(self.u0)

    def first(self, n: int) -> "Workload":
        """Its first n samples."""
        return self.samples(torch.arange(min(n, self.n_samples)))

    def samples(self, rows: Int[Tensor, " row"]) -> "Workload":
        """Some of its samples."""
        return replace(self, u0=self.u0[rows], params=self.params[rows])


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Samples of an equation's own distributions: a seed fixes the functions, on whatever grid they are wanted.

    The seed is that of one generator for all samples; trajectories of generated data sets come from (seed, i), so no
    sample is one that a surrogate was trained on.
    """

    pde: PDE
    shape: Sequence[int]
    dt: float
    n_steps: int
    n_samples: int = 200
    seed: int = 12345
    device: str = "cpu"

    def at(self, shape: Sequence[int] | None = None) -> Workload:
        """The workload on `shape` points. Coefficient fields are drawn on `self.shape` and moved from there.

        They move as the reference solver's `transfer` says: of what is constant on cells finer ones repeat and coarser
        ones are means, smooth functions are interpolated.
        """
        generator = torch.Generator().manual_seed(self.seed)
        base = self.pde.grid(tuple(self.shape))
        grid = self.pde.grid(tuple(shape or self.shape))
        params = self.pde.sample_params(base, self.n_samples, generator)
        u0 = self.pde.sample_initial(grid, self.n_samples, generator)
        if grid != base:
            params = Parameters(params.scalars, self._moved(params.fields, base, grid))
        return Workload(self.pde, grid, self.dt, self.n_steps, u0, params, torch.device(self.device))

    def of(self, pde: PDE) -> "Draw":
        """The same draw from another distribution of the equation."""
        return replace(self, pde=pde)

    def _moved(self, fields: Tensor, base: Grid, grid: Grid) -> Tensor:
        if fields.shape[1] == 0:
            return fields.new_zeros(len(fields), 0, *grid.shape)
        transfer = reference_solver(self.pde, base, self.dt).transfer
        finer = all(m >= n for n, m in zip(base.shape, grid.shape, strict=True))
        return transfer.prolong(fields, base, grid) if finer else transfer.restrict(fields, base, grid)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The reference solution to a relative tolerance in every sample (`duhamel.solvers.solve`).

    It judges nobody who comes near it: a benchmark asks for `margin` times the accuracy of its best contender.
    solver: as `solve` takes it.
    """

    rtol: float
    margin: float = 10.0
    max_refine: int = 64
    solver: Callable[..., Solver] = reference_solver

    def solve(self, work: Workload) -> Solution:
        return solve(
            work.pde, work.u0, work.params, work.grid, work.dt, work.n_steps,
            rtol=self.rtol, max_refine=self.max_refine, solver=self.solver,
        )  # fmt: skip

    def require(self, estimated: float, best: float, who: str) -> None:
        """Raises ValueError where the truth is not `margin` times more accurate than the best contender."""
        if not estimated * self.margin <= best:
            raise ValueError(
                f"the truth's estimated relative error is {estimated:.2e}, that of the best contender ({who}) is "
                f"{best:.2e}: it must be {self.margin:g} times larger. Lower benchmark.truth.rtol (now {self.rtol:g}) "
                "or leave out the most accurate settings"
            )
