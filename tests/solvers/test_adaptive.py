"""Adaptive grids give the solution of a fine one, go up with a shock and down with its decay, and know their error."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid, Parameters, PickedWaves, resample
from duhamel.fields.fourier_space import FourierSpace
from duhamel.pdes import Burgers, Darcy
from duhamel.solvers import AdaptiveETDRK4, UnresolvedError, adaptive_error, reference_trajectory
from duhamel.solvers.adaptive import STABLE
from duhamel.solvers.etdrk import etdrk4_coefficients

pytestmark = pytest.mark.usefixtures("unchecked")  # solvers take thousands of steps

PDE = Burgers(initial=PickedWaves())
GRID = PDE.grid((256,))


def problem(*viscosities: float) -> tuple[torch.Tensor, Parameters]:
    """One state, sin(2 pi x) + 1/2, at several viscosities: a moving shock forms at t = 0.16."""
    u0 = torch.sin(2 * math.pi * GRID.coordinates()[0]) + 0.5
    nu = torch.tensor(viscosities, dtype=torch.float64)[:, None]
    return u0.repeat(len(nu), 1, 1), Parameters(nu, torch.zeros(len(nu), 0, 256, dtype=torch.float64))


def relative(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return (u - v).flatten(1).norm(dim=1) / v.flatten(1).norm(dim=1)


def test_it_is_the_solution_of_a_fine_grid_and_knows_its_error() -> None:
    u0, params = problem(3e-3, 4e-2)
    settings = {"substeps": 8, "max_refine": 4}
    u, schedule = AdaptiveETDRK4(PDE, GRID, 0.02, **settings).trajectory(u0, params, 12)  # type: ignore[arg-type]
    exact = reference_trajectory(PDE, u0, params, GRID, 0.02, 12, refine=4, substeps=64)
    error = relative(u[:, 1:], exact[:, 1:])
    estimate = adaptive_error(PDE, u0, params, GRID, 0.02, 12, **settings)  # type: ignore[arg-type]
    assert bool((error < 1e-5).all()), error
    # Twice the resolution has far smaller errors: the estimate is the error itself, within a tenth.
    assert torch.allclose(estimate, error, rtol=0.1, atol=1e-10)
    assert schedule[0, 0] == 0 and schedule[:, 0].max() == 2, "up with the shock, to 4 times the points"
    assert schedule[:, 1].max() < schedule[:, 0].max(), "only where it is needed"


def test_half_the_points_suffice_after_the_decay() -> None:
    u0, params = problem(3e-3)
    _, schedule = AdaptiveETDRK4(PDE, GRID, 0.05, substeps=8, max_refine=8).trajectory(u0, params, 30)
    assert schedule[-1, 0] < schedule.max()


def test_a_sample_does_not_depend_on_its_batch() -> None:
    u0, params = problem(8e-3, 2e-2, 0.1)
    solver = AdaptiveETDRK4(PDE, GRID, 0.02, substeps=4, max_refine=8)
    together, schedule = solver.trajectory(u0, params, 12)
    for i in range(3):
        alone, own = solver.trajectory(u0[i : i + 1], params[i : i + 1], 12)
        assert torch.allclose(alone[0], together[i], rtol=0, atol=1e-12)
        assert torch.equal(own[:, 0], schedule[:, i])


def test_transport_beside_little_diffusion_is_stable_up_to_the_stated_step() -> None:
    """Growth of v' = -nu k^2 v + i c k v over one step, nu = dt = 1: all wavenumbers, at c^2 = STABLE and beyond."""
    k = torch.logspace(-2, 2, 4001, dtype=torch.float64)

    def growth(c_squared: float) -> float:
        c, carried = etdrk4_coefficients(-(k**2), 1.0), 1j * math.sqrt(c_squared) * k
        v = torch.ones_like(carried)
        n_1 = carried * v
        n_2 = carried * (c.E2 * v + c.a1 * n_1)
        n_3 = carried * (c.E2 * v + c.b1 * n_1 + c.b2 * n_2)
        n_4 = carried * (c.E * v + c.c1 * n_1 + c.c3 * n_3)
        return float((c.E * v + c.f1 * n_1 + c.f2 * (n_2 + n_3) + c.f3 * n_4).abs().max())

    assert growth(STABLE) < 1 < 1.1 < growth(5.0)


def test_fast_states_of_little_viscosity_take_shorter_steps() -> None:
    """A cusp at speed 1.9: steps in proportion to the points alone lose three digits by the third frame."""
    grid = PDE.grid((1024,))
    u0 = -1.9 * torch.sin(math.pi * grid.coordinates()[0]).abs().reshape(1, 1, -1)
    params = Parameters(torch.full((1, 1), 3.2e-4, dtype=torch.float64), torch.zeros(1, 0, 1024, dtype=torch.float64))
    u, _ = AdaptiveETDRK4(PDE, grid, 0.01, substeps=4, max_refine=8).trajectory(u0, params, 3)
    exact = reference_trajectory(PDE, u0, params, grid, 0.01, 3, refine=4, substeps=64)
    assert float(relative(u[:, 1:], exact[:, 1:])) < 1e-9


def test_what_the_finest_grid_does_not_hold_is_refused_by_name() -> None:
    u0, params = problem(0.1, 1e-3)
    with pytest.raises(UnresolvedError, match=r"sample 1: spectral tail .* finest grid, of shape \(512,\)"):
        AdaptiveETDRK4(PDE, GRID, 0.02, substeps=4, max_refine=2).trajectory(u0, params, 10)
    with pytest.raises(ValueError, match="power of two"):
        AdaptiveETDRK4(PDE, GRID, 0.02, substeps=4, max_refine=3)
    with pytest.raises(ValueError, match="semilinear"):
        AdaptiveETDRK4(Darcy(), Darcy().grid((8, 8)), 0.0, substeps=1, max_refine=2)


@pytest.mark.parametrize(("shape", "other"), [((8, 6), (16, 12)), ((8, 6), (9, 11)), ((9, 7), (12, 8)), ((6,), (32,))])
def test_coefficients_move_between_grids_as_their_function_does(
    shape: tuple[int, ...], other: tuple[int, ...], generator: torch.Generator
) -> None:
    """Up: the trigonometric interpolant, highest modes included. Down again: nothing is lost."""

    def space(n: tuple[int, ...]) -> FourierSpace:
        return FourierSpace(
            Grid(shape=n, extent=(1.0,) * len(n), boundary=(Boundary.PERIODIC,) * len(n), centring=Centring.NODE)
        )

    u = torch.randn(2, 1, *shape, generator=generator, dtype=torch.float64)
    coarse, fine = space(shape), space(other)
    moved = coarse.moved(coarse.modes(u), fine)
    assert torch.allclose(fine.samples(moved), resample(u, coarse.grid, fine.grid), atol=1e-12)
    smooth = coarse.samples(torch.where(coarse.kept(), coarse.modes(u), 0))
    back = fine.moved(coarse.moved(coarse.modes(smooth), fine), coarse)
    assert torch.allclose(coarse.samples(back), smooth, atol=1e-12)


def test_parameters_out_of_bounds_are_named() -> None:
    u0, params = problem(-1e-2)
    with pytest.raises(ValueError, match="burgers: viscosity must lie in"):
        AdaptiveETDRK4(PDE, GRID, 0.02, substeps=8, max_refine=1).trajectory(u0, params, 1)
