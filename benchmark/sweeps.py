"""Reference solvers over their knobs: points, steps, precision, tolerance. The best baseline is searched for."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from duhamel.benchmark.contenders import DTYPES, SOLVER, Run, Setting, States, described
from duhamel.benchmark.workload import Workload
from duhamel.fields import Grid, Parameters, State
from duhamel.pdes import Darcy, SemilinearPDE
from duhamel.solvers import (
    ETDRK4,
    CellMeans,
    DarcyFiniteVolume,
    Multigrid,
    PointValues,
    Solver,
    reference_solver,
    solve_darcy,
    solve_diffusion,
)
from duhamel.solvers.elliptic import Preconditioner

Restriction = Callable[[Tensor, Grid, Grid], Tensor]


class SolverSweep:
    """Every combination of the knobs is a setting: the solver on n points an axis, its states at the workload's points.

    Fewer points than the workload has are coarse-then-interpolate: samples are left out on the way in (means, for what
    is constant on cells), and on the way out the states are interpolated: trigonometrically where an axis is periodic,
    or zero or flat at both ends, else by cubics. The time of both is counted.

    n: points an axis, one number for all axes. dtype: of states and solver.
    solver: (pde, grid, dt, **knobs) -> solver; by default the reference solver, whose knob is `substeps`.
    knobs: names and values of the solver's other arguments; one of a single value is no choice, and not shown.
    coefficients: how coefficient fields pass to fewer points; by default as the solver's `transfer` does it.
    """

    def __init__(
        self,
        *,
        n: Sequence[int],
        dtype: Sequence[str] = ("float64",),
        solver: Callable[..., Solver] = reference_solver,
        knobs: Mapping[str, Sequence[Any]] | None = None,
        coefficients: Restriction | None = None,
    ) -> None:
        unknown = sorted(set(dtype) - set(DTYPES))
        if unknown:
            raise ValueError(f"dtype must be of {sorted(DTYPES)}, got {unknown}")
        self.n, self.dtype, self.solver = n, dtype, solver
        self.knobs, self.coefficients = dict(knobs or {}), coefficients

    def settings(self, name: str, work: Workload) -> list[Setting]:
        found = []
        for n, *values, dtype in itertools.product(self.n, *self.knobs.values(), self.dtype):
            knobs = dict(zip(self.knobs, values, strict=True))
            chosen = {k: described(v) for k, v in knobs.items() if len(self.knobs[k]) > 1}
            shown = {"n": n, **chosen, "dtype": dtype}
            found.append(Setting(name, SOLVER, shown, self._builder(n, knobs), DTYPES[dtype]))
        return found

    def _builder(self, n: int, knobs: Mapping[str, Any]) -> Callable[[Workload], Run]:
        def build(work: Workload) -> Run:
            grid = work.grid.with_shape((n,) * work.grid.ndim)
            solver = self.solver(work.pde, grid, work.dt, **knobs)
            return _transferred(solver, work, grid, self.coefficients)

        return build


def _transferred(solver: Solver, work: Workload, grid: Grid, coefficients: Restriction | None) -> Run:
    """The rollout of a solver on its own grid, states read at the workload's points."""
    stored = work.grid
    finer = all(m >= n for n, m in zip(stored.shape, grid.shape, strict=True))
    inward = solver.transfer.prolong if finer else solver.transfer.restrict
    fields = inward if finer else coefficients or inward
    # A state that the solver takes for means over cells is a smooth function where finite volumes solve elliptic ones.
    outward = solver.transfer if finer or not work.pde.smooth else PointValues()

    def run(u0: State, params: Parameters) -> States:
        with torch.inference_mode():
            u = inward(u0, stored, grid)
            there = params.fields.new_zeros(len(u0), 0, *grid.shape)
            if params.fields.shape[1]:
                there = fields(params.fields, stored, grid)
            own = Parameters(params.scalars, there)
            states = []
            for _ in range(work.n_steps):
                u = solver(u, own)
                states.append(u)
            # All states at once: interpolation costs a matrix, whatever the number of states.
            flat = torch.stack(states, dim=1).flatten(0, 1)
            back = outward.restrict(flat, grid, stored) if finer else outward.prolong(flat, grid, stored)
            return back.unflatten(0, (len(u0), work.n_steps))

    return run


def etdrk4(pde: SemilinearPDE, grid: Grid, dt: float, *, substeps: int) -> Solver:
    """Without its refusal of coarse spectra: how wrong a loose solution is, is what gets measured here."""
    return ETDRK4(pde, grid, dt, substeps=substeps, tail_bound=math.inf)


def geometric_means(fields: Tensor, fine: Grid, coarse: Grid) -> Tensor:
    """exp of the mean of logarithms over coarse cells: the permeability of a mixture in two dimensions, near enough.

    Source: Matheron (1967), "Elements pour une theorie des milieux poreux", for isotropic media in the plane.
    """
    return CellMeans().restrict(fields.log(), fine, coarse).exp()


def darcy_direct(pde: Darcy, grid: Grid, dt: float) -> Solver:
    """Sparse direct, sample by sample, in float64 whatever comes in."""
    return DarcyFiniteVolume(grid, source=pde.source, solve=solve_darcy)


def darcy_multigrid(pde: Darcy, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    """The reference's finite volumes by multigrid to a residual of 1e-8: a truth on 512 x 512 cells in seconds."""
    return darcy_iterative(pde, grid, dt, preconditioner=Multigrid, tolerance=1e-8)


def darcy_iterative(
    pde: Darcy, grid: Grid, dt: float, *, preconditioner: Preconditioner, tolerance: float, max_iterations: int = 200
) -> Solver:
    """Preconditioned conjugate gradients on the whole batch, to a relative residual that may be loose."""

    def solve(a: Tensor, f: Tensor, grid: Grid) -> Tensor:
        return solve_diffusion(
            a, f, grid, preconditioner=preconditioner, tolerance=tolerance, max_iterations=max_iterations
        ).u

    return DarcyFiniteVolume(grid, source=pde.source, solve=solve)
