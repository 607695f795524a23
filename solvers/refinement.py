"""Trajectories for data sets: solved on a finer grid than they are stored on, with an estimate of their error."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Centring, Grid, Parameters
from duhamel.pdes import PDE
from duhamel.solvers.base import Solver, reference_solver
from duhamel.solvers.transfer import Transfer


def refined(grid: Grid, factor: int) -> Grid:
    """The same domain with spacing h / factor along every axis."""
    if factor < 1:
        raise ValueError(f"a grid is refined by a factor of at least 1, got {factor}")
    node = grid.centring is Centring.NODE
    return grid.with_shape(
        tuple(
            (n - 1) * factor + 1 if node and not periodic else n * factor
            for n, periodic in zip(grid.shape, grid.periodic, strict=True)
        )
    )


def reference_trajectory(
    pde: PDE,
    u0: Float[Tensor, "batch channel *space"],
    params: Parameters,
    grid: Grid,
    dt: float,
    n_steps: int,
    *,
    refine: int = 1,
    substeps: int = 1,
    solver: Callable[..., Solver] = reference_solver,
) -> Float[Tensor, "batch time channel *space"]:
    """States 0, ..., n_steps on `grid`, solved with spacing h / refine and `substeps` solver steps per dt.

    solver: (pde, grid, dt, substeps=...) -> the solver.

    u0 and coefficient fields are given on `grid`, and stand there for what the solver's `transfer` says.
    Stationary problems (dt = 0, n_steps = 1) give (zeros, solution).
    """
    if n_steps < 1 or (dt == 0 and n_steps != 1):
        raise ValueError(f"n_steps must be at least 1, and 1 where dt is 0; got n_steps = {n_steps} and dt = {dt}")
    if refine != 1 and not pde.continuous:
        raise ValueError(f"{pde.name} lives on a lattice, which has no finer grid: refine must be 1, got {refine}")
    fine = refined(grid, refine)
    step = solver(pde, fine, dt, substeps=substeps)
    fine_params = replace(params, fields=_prolonged(step.transfer, params.fields, grid, fine))
    states = [torch.zeros_like(u0) if dt == 0 else u0]
    u = step.transfer.prolong(states[0], grid, fine)
    for _ in range(n_steps):
        u = step(u, fine_params)
        states.append(step.transfer.restrict(u, fine, grid))
    return torch.stack(states, dim=1)


def estimated_error(
    pde: PDE,
    u0: Float[Tensor, "batch channel *space"],
    params: Parameters,
    grid: Grid,
    dt: float,
    n_steps: int,
    *,
    refine: int,
    substeps: int,
) -> Float[Tensor, " batch"]:
    """Relative L2 distance, over all states after the first, to a solve with twice the points and time steps.

    A stationary problem has no time steps to double, a lattice no points.
    """
    solved = reference_trajectory(pde, u0, params, grid, dt, n_steps, refine=refine, substeps=substeps)
    doubled = 1 if dt == 0 else 2 * substeps
    finer = 2 * refine if pde.continuous else 1
    judge = reference_trajectory(pde, u0, params, grid, dt, n_steps, refine=finer, substeps=doubled)
    return relative_distance(solved, judge)


def relative_distance(
    u: Float[Tensor, "batch time channel *space"], judge: Float[Tensor, "batch time channel *space"]
) -> Float[Tensor, " batch"]:
    """Relative L2 distance over all states after the first; that of zero states is absolute."""
    difference = torch.linalg.vector_norm((u - judge)[:, 1:].flatten(1), dim=1)
    size = torch.linalg.vector_norm(judge[:, 1:].flatten(1), dim=1)
    return difference / torch.where(size == 0, 1.0, size)


def _prolonged(
    transfer: Transfer, fields: Float[Tensor, "batch coefficient *space"], grid: Grid, fine: Grid
) -> Float[Tensor, "batch coefficient *fine"]:
    if fields.shape[1] == 0:
        return fields.new_zeros(len(fields), 0, *fine.shape)
    return transfer.prolong(fields, grid, fine)
