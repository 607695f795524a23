"""Stored trajectories and the error they are stored with."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, GaussianField, Grid
from duhamel.pdes import Advection, Burgers, Darcy
from duhamel.solvers import estimated_error, reference_solver, reference_trajectory, refined


def test_refined_grids_share_the_domain() -> None:
    grid = Grid(shape=(8, 5), extent=(1.0, 2.0), boundary=(Boundary.PERIODIC, Boundary.WALL), centring=Centring.NODE)
    fine = refined(grid, 3)
    assert fine.shape == (24, 13)
    assert fine.spacing == pytest.approx([h / 3 for h in grid.spacing])
    assert refined(Darcy().grid((4, 6)), 2).shape == (8, 12)
    with pytest.raises(ValueError, match="at least 1"):
        refined(grid, 0)


def test_stored_states_are_samples_of_the_fine_ones(generator: torch.Generator) -> None:
    pde = Burgers()
    grid, fine = pde.grid((64,)), pde.grid((512,))
    params = pde.sample_params(grid, 2, generator)
    seed = 5
    u0 = pde.sample_initial(grid, 2, torch.Generator().manual_seed(seed))
    u0_fine = pde.sample_initial(fine, 2, torch.Generator().manual_seed(seed))
    stored = reference_trajectory(pde, u0, params, grid, 0.05, 4, refine=8, substeps=5)
    whole = reference_trajectory(pde, u0_fine, params, fine, 0.05, 4, substeps=5)
    torch.testing.assert_close(stored, whole[..., ::8], atol=1e-12, rtol=0)
    assert torch.equal(stored[:, 0], u0)


def test_the_estimate_is_close_to_the_true_error_of_burgers(generator: torch.Generator) -> None:
    pde = Burgers()
    grid = pde.grid((64,))
    u0, params = pde.sample_initial(grid, 3, generator), pde.sample_params(grid, 3, generator)
    arguments = (pde, u0, params, grid, 0.05, 6)
    solved = reference_trajectory(*arguments, refine=8, substeps=4)
    truth = reference_trajectory(*arguments, refine=16, substeps=64)
    true_error = (solved - truth)[:, 1:].flatten(1).norm(dim=1) / truth[:, 1:].flatten(1).norm(dim=1)
    estimate = estimated_error(*arguments, refine=8, substeps=4)
    # Halving the step of a fourth-order solver leaves 1/16 of the error: the estimate is 15/16 of it.
    assert estimate.shape == (3,)
    assert ((estimate / true_error - 1).abs() < 0.15).all(), (estimate, true_error)


def test_default_burgers_family_is_resolved_and_stays_alive() -> None:
    pde = Burgers()
    grid = pde.grid((128,))
    generator = torch.Generator().manual_seed(0)
    u0, params = pde.sample_initial(grid, 32, generator), pde.sample_params(grid, 32, generator)
    assert 0.3 < u0.square().mean().sqrt() < 1.0
    for viscosity in (0.008, 0.03):
        params.scalars.fill_(viscosity)
        u = reference_trajectory(pde, u0, params, grid, 0.1, 10, refine=4, substeps=20)
        norm = u.square().sum(dim=(0, 2, 3)).sqrt()
        assert norm[5] / norm[0] > 0.35 and norm[10] / norm[0] > 0.15, (viscosity, norm / norm[0])


def test_refining_darcy_replicates_cells(generator: torch.Generator) -> None:
    pde = Darcy()
    grid = pde.grid((6, 8))
    params, guess = pde.sample_params(grid, 2, generator), pde.sample_initial(grid, 2, generator)
    u = reference_trajectory(pde, guess, params, grid, 0.0, 1, refine=2)
    assert u.shape == (2, 2, 1, 6, 8) and not u[:, 0].any()
    fine = refined(grid, 2)
    a = params.fields.repeat_interleave(2, 2).repeat_interleave(2, 3)
    whole = reference_solver(pde, fine, 0.0)(torch.zeros(2, 1, 12, 16).double(), type(params)(params.scalars, a))
    mean = torch.nn.functional.avg_pool2d(whole, 2)
    torch.testing.assert_close(u[:, 1], mean, atol=1e-14, rtol=0)


def test_darcy_converges_at_second_order_for_smooth_permeability() -> None:
    smooth = GaussianField(sigma=1.0, tau=3.0, alpha=2.0, n_modes=2, mean=2.0)
    pde = Darcy(permeability=smooth)
    errors = []
    for n in (8, 16, 32):
        grid = pde.grid((n, n))
        generator = torch.Generator().manual_seed(3)
        params, guess = pde.sample_params(grid, 1, generator), pde.sample_initial(grid, 1, generator)
        errors.append(float(estimated_error(pde, guess, params, grid, 0.0, 1, refine=1, substeps=1)))
    assert errors[0] > errors[1] > errors[2]
    assert 1.7 < math.log2(errors[0] / errors[2]) / 2 < 2.3, errors


def test_impossible_trajectories_are_refused(generator: torch.Generator) -> None:
    pde = Darcy()
    grid = pde.grid((4, 4))
    params, guess = pde.sample_params(grid, 1, generator), pde.sample_initial(grid, 1, generator)
    with pytest.raises(ValueError, match="n_steps must be at least 1, and 1 where dt is 0"):
        reference_trajectory(pde, guess, params, grid, 0.0, 2)
    with pytest.raises(ValueError, match="substeps 1"):
        reference_trajectory(pde, guess, params, grid, 0.0, 1, substeps=2)
    with pytest.raises(ValueError, match="at least 1"):
        reference_trajectory(Advection(), guess[:, :, 0], params, Advection().grid((4,)), 0.1, 0)
