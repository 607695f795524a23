"""What `solve` says of its own error holds."""

import math

import pytest
import torch

from duhamel.benchmark import exact_solutions as exact
from duhamel.benchmark.order_cases import scalars
from duhamel.fields import Boundary, Centring, GaussianField, Grid
from duhamel.pdes import PDE, Burgers, Darcy, FisherKPP, Heat, Lorenz96, NavierStokes
from duhamel.solvers import UnresolvedError, estimated_error, solve, tolerance

GENTLE = GaussianField(sigma=5.0, tau=5.0, alpha=2.0, n_modes=2, zero_mean=True)


@pytest.mark.parametrize("rtol", [1e-3, 1e-5, 1e-8])
def test_burgers_is_as_close_to_cole_and_hopf_as_asked_for(rtol: float) -> None:
    grid = Grid(shape=(16,), extent=(2 * math.pi,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    x = grid.coordinates()[0]
    u0 = (torch.sin(x) + 0.2 * torch.cos(2 * x))[None, None]
    solution = solve(Burgers(), u0, scalars(grid, 0.1), grid, 0.5, 3, rtol=rtol)
    truth = torch.stack([exact.cole_hopf(x, t, 0.1) for t in (0.5, 1.0, 1.5)])
    error = float((solution.u[0, 1:, 0] - truth).norm() / truth.norm())
    assert error < 1.2 * float(solution.estimated_error) <= 1.2 * rtol, (error, solution.estimated_error)
    assert error > 1e-4 * rtol, "far more work than asked for"
    assert solution.cost.n[0] >= 64 and solution.cost.n_solves >= 3 and solution.cost.seconds > 0


@pytest.mark.parametrize(
    ("pde", "shape", "dt"),
    [
        (FisherKPP(boundary="neumann"), (48,), 0.5),
        (NavierStokes(initial=GENTLE), (32, 32), 0.5),
        (Lorenz96(spin_up=0.5), (8,), 0.1),
        (Heat(), (32,), 0.1),
        (Darcy(permeability=GaussianField(sigma=1.0, tau=3.0, alpha=2.0, n_modes=2, mean=2.0)), (16, 16), 0.0),
    ],
    ids=lambda case: getattr(case, "name", None),
)
def test_the_estimate_is_that_of_a_finer_solve(pde: PDE, shape: tuple[int, ...], dt: float) -> None:
    grid = pde.grid(shape)
    generator = torch.Generator().manual_seed(0)
    params, u0 = pde.sample_params(grid, 2, generator), pde.sample_initial(grid, 2, generator)
    n_steps = 2 if dt else 1
    solution = solve(pde, u0, params, grid, dt, n_steps, rtol=2e-3, max_refine=32)
    assert (solution.estimated_error <= 2e-3).all()
    refine = round(grid.spacing[0] * (solution.cost.n[0] / grid.extent[0]))
    finer = estimated_error(
        pde, u0, params, grid, dt, n_steps, refine=refine, substeps=solution.cost.substeps if dt else 1
    )
    assert (finer <= 1.1 * solution.estimated_error + 1e-14).all()


def test_what_is_not_resolved_is_refused_however_well_answers_agree() -> None:
    pde = Burgers()
    grid = pde.grid((64,))
    u0 = pde.sample_initial(grid, 1, torch.Generator().manual_seed(0))
    with pytest.raises(UnresolvedError, match="not solved to rtol = 0.5 with at most 4 times .* spectral tail"):
        solve(pde, u0, scalars(grid, 1e-5), grid, 0.5, 1, rtol=0.5, max_refine=4, max_substeps=512)
    with pytest.raises(UnresolvedError, match="in time"):
        solve(pde, u0, scalars(grid, 0.05), grid, 0.5, 1, rtol=1e-12, max_substeps=16)
    with pytest.raises(ValueError, match="rtol must be at least"):
        solve(pde, u0, scalars(grid, 0.05), grid, 0.5, 1, rtol=1e-20)


def test_an_unstable_step_is_halved_and_says_nothing_about_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below 8 steps the answer is huge but finite, as that of an explicit scheme that has had no time to overflow."""

    def trajectory(pde, u0, params, grid, dt, n_steps, *, refine, substeps, solver):
        u = 1.0 + substeps**-4.0 + 1e-9 * refine**-2.0 if substeps >= 8 else 1e126 / substeps
        return torch.full((len(u0), n_steps + 1, *u0.shape[1:]), u, dtype=torch.float64)

    monkeypatch.setattr(tolerance, "reference_trajectory", trajectory)
    pde = Burgers()
    grid = pde.grid((8,))
    solution = solve(pde, torch.ones(2, 1, 8, dtype=torch.float64), scalars(grid, 0.1), grid, 1.0, 2, rtol=1e-5)
    assert solution.cost.n == (8,) and 16 <= solution.cost.substeps <= 64
    assert abs(float(solution.u[0, 1, 0, 0]) - 1.0) < 1e-5
