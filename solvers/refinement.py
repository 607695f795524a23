"""Trajectories for data sets: solved on a finer grid than they are stored on, with an estimate of their error."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Centring, Grid, Parameters, resample
from duhamel.pdes import PDE
from duhamel.solvers.base import reference_solver


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
) -> Float[Tensor, "batch time channel *space"]:
    """States 0, ..., n_steps on `grid`, solved with spacing h / refine and `substeps` solver steps per dt.

    u0 and params are given on `grid`; u0 stands for its interpolant, coefficient fields are constant on its cells.
    Stationary problems (dt = 0, n_steps = 1) give (zeros, solution).
    """
    if n_steps < 1 or (dt == 0 and n_steps != 1):
        raise ValueError(f"n_steps must be at least 1, and 1 where dt is 0; got n_steps = {n_steps} and dt = {dt}")
    fine = refined(grid, refine)
    solver = reference_solver(pde, fine, dt, substeps=substeps)
    fine_params = replace(params, fields=_replicate(params.fields, grid, refine))
    states = [torch.zeros_like(u0) if dt == 0 else u0]
    u = _prolong(states[0], grid, fine)
    for _ in range(n_steps):
        u = solver(u, fine_params)
        states.append(_restrict(u, grid, fine, refine))
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

    A stationary problem has no time steps to double.
    """
    solved = reference_trajectory(pde, u0, params, grid, dt, n_steps, refine=refine, substeps=substeps)
    doubled = 1 if dt == 0 else 2 * substeps
    judge = reference_trajectory(pde, u0, params, grid, dt, n_steps, refine=2 * refine, substeps=doubled)
    difference = torch.linalg.vector_norm((solved - judge)[:, 1:].flatten(1), dim=1)
    return difference / torch.linalg.vector_norm(judge[:, 1:].flatten(1), dim=1).clamp_min(1e-300)


def _prolong(u: Float[Tensor, "batch channel *space"], grid: Grid, fine: Grid) -> Float[Tensor, "batch channel *fine"]:
    return u if fine == grid else resample(u, grid, fine)


def _restrict(
    u: Float[Tensor, "batch channel *fine"], grid: Grid, fine: Grid, factor: int
) -> Float[Tensor, "batch channel *space"]:
    """Point values on periodic grids; means over the stored cell where a solution may have kinks at its faces."""
    if fine == grid:
        return u
    if all(grid.periodic):
        return resample(u, fine, grid)
    for axis, n in enumerate(grid.shape):
        if grid.centring is Centring.NODE:
            kept = factor * torch.arange(n, device=u.device)
            u = u.index_select(2 + axis, kept)
        else:
            u = u.unflatten(2 + axis, (n, factor)).mean(dim=3 + axis)
    return u


def _replicate(
    coefficients: Float[Tensor, "batch coefficient *space"], grid: Grid, factor: int
) -> Float[Tensor, "batch coefficient *fine"]:
    """Coefficients constant on the stored cells, on the cells that divide them."""
    if factor == 1:
        return coefficients
    if coefficients.shape[1] == 0:
        return coefficients.new_zeros(coefficients.shape[0], 0, *refined(grid, factor).shape)
    if grid.centring is not Centring.CELL:
        raise NotImplementedError(
            "refining coefficient fields needs a cell-centred grid, on whose cells they are constant"
        )
    for axis in range(grid.ndim):
        coefficients = coefficients.repeat_interleave(factor, dim=2 + axis)
    return coefficients
