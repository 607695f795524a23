"""Solutions to a tolerance: space and time are refined until successive answers agree."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.pdes import PDE
from duhamel.solvers.base import EXACT, Solver, UnresolvedError, reference_solver
from duhamel.solvers.refinement import reference_trajectory, refined, relative_distance

# A spectrum that is not resolved may be due to the step, which is divided by four so many times before the grid is
# refined; above this tail a finer grid begins with half the step.
TRIES = 2
WILD = 1e-2


@dataclass(frozen=True)
class Cost:
    """n: points an axis, substeps: steps per dt, of the answer; n_solves, seconds: of all solves that led to it."""

    n: tuple[int, ...]
    substeps: int
    n_solves: int
    seconds: float


@dataclass(frozen=True)
class Solution:
    """u: states 0, ..., n_steps on the grid asked for. estimated_error: relative L2 over all states after the first."""

    u: Float[Tensor, "batch time channel *space"]
    estimated_error: Float[Tensor, " batch"]
    cost: Cost


def solve(
    pde: PDE,
    u0: Float[Tensor, "batch channel *space"],
    params: Parameters,
    grid: Grid,
    dt: float,
    n_steps: int,
    *,
    rtol: float,
    max_refine: int = 64,
    max_substeps: int = 8192,
    solver: Callable[..., Solver] = reference_solver,
) -> Solution:
    """The reference solution to a relative tolerance in every sample of the batch.

    solver: (pde, grid, dt, substeps=...) -> the solver, one of the reference's discretisation that is faster, say.

    Beginning with the points of `grid` and one step per dt, points and steps are multiplied, each where it is needed,
    until the answer's distance to one with twice the steps and its distance to one with twice the points add up to at
    most rtol. Distances are scaled by 2^p / (2^p - 1), p the solver's order. Steps of exact propagators and of
    stationary problems are not refined, nor is a lattice.

    Raises UnresolvedError where `max_refine` and `max_substeps` do not suffice: a spectrum that its grid does not hold
    is never returned, however well two answers agree. ValueError for an rtol that the precision of u0 cannot show.
    """
    least = 16 * torch.finfo(u0.dtype).eps
    if not rtol >= least:
        raise ValueError(f"rtol must be at least {least:.1e} in {u0.dtype}, got {rtol}")
    order = solver(pde, grid, dt).order
    in_time, in_space = dt > 0 and order != EXACT, pde.continuous
    scale = 1.0 if order == EXACT else 2**order / (2**order - 1)
    start, n_solves, said = time.perf_counter(), 0, ""
    answers: dict[tuple[int, int], Tensor] = {}
    refine, substeps, tries = 1, 1, 0
    while refine <= max_refine and substeps <= max_substeps:
        wanted = [(refine, substeps)]
        wanted += [(refine, 2 * substeps)] if in_time else []
        wanted += [(2 * refine, substeps)] if in_space else []
        answers = {key: u for key, u in answers.items() if key in wanted}
        try:
            for key in wanted:
                if key not in answers:
                    n_solves += 1
                    answers[key] = reference_trajectory(
                        pde, u0, params, grid, dt, n_steps, refine=key[0], substeps=key[1], solver=solver
                    )
        except UnresolvedError as error:
            said = str(error)
            # A step too long or a grid too coarse? Shorter steps cost less and come first.
            if in_time and tries < TRIES:
                substeps, tries = 4 * substeps, tries + 1
            else:
                wild = not error.tail < WILD
                substeps, tries = (2 if in_time and wild else 1) * substeps // 4**tries, 0
                refine *= 2 if in_space else max_refine + 1
            continue
        u = answers[refine, substeps]
        zero = u.new_zeros(len(u))
        e_time = scale * relative_distance(u, answers[refine, 2 * substeps]) if in_time else zero
        e_space = scale * relative_distance(u, answers[2 * refine, substeps]) if in_space else zero
        if bool((e_time + e_space <= rtol).all()):
            seconds = time.perf_counter() - start
            cost = Cost(refined(grid, refine).shape, substeps, n_solves, seconds)
            return Solution(u, e_time + e_space, cost)
        said = f"the last answers differ by {float(e_time.max()):.1e} in time and {float(e_space.max()):.1e} in space"
        worst = float(e_time.max())
        if math.isfinite(worst) and worst >= 1:
            # A step that is not stable: neither the order nor another grid says anything about it.
            substeps *= 2
            continue
        # NaN, from a solution that blew up, asks for both.
        if not bool((e_time <= rtol / 2).all()):
            excess = worst / (rtol / 2)
            substeps *= 2 ** max(1, math.ceil(math.log2(excess) / order)) if math.isfinite(excess) else 2
        if not bool((e_space <= rtol / 2).all()):
            refine *= 2
    raise UnresolvedError(
        f"{pde.name} is not solved to rtol = {rtol:g} with at most {max_refine} times the points of {grid.shape} and "
        f"{max_substeps} steps per dt = {dt:g}: {said}",
        math.nan,
    )
