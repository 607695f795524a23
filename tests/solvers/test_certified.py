"""Certified solves: the bound is a bound, whatever the start; reduced bases are what Galerkin says."""

import pytest
import torch

from duhamel.fields import GaussianField, LogNormalField, Parameters
from duhamel.pdes import Darcy
from duhamel.pdes.diffusion import diffusion
from duhamel.solvers import ReducedBasis, solve_certified, solve_darcy

GRID = Darcy().grid((16, 20))
FIELD = LogNormalField(field=GaussianField(sigma=11.0, tau=3.0, alpha=2.0, n_modes=7))
VOLUME = GRID.spacing[0] * GRID.spacing[1]


def energy(v: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    return (VOLUME * (v * diffusion(v, a, GRID)).flatten(1).sum(dim=1)).sqrt()


def noisy(u: torch.Tensor, params: Parameters) -> torch.Tensor:
    """A surrogate that is wrong by a third, smoothly and roughly."""
    exact = solve_darcy(params.fields[:, 0], torch.ones_like(params.fields[:, 0]), GRID)
    generator = torch.Generator().manual_seed(1)
    rough = 1 + 0.05 * torch.randn(exact.shape, generator=generator, dtype=torch.float64)
    return (1.3 * exact * rough).unsqueeze(1)


@pytest.mark.parametrize("start", [None, noisy], ids=["zero", "surrogate"])
@pytest.mark.parametrize("tolerance", [0.1, 1e-2, 1e-4])
def test_the_bound_holds_and_meets_the_tolerance(start, tolerance, generator) -> None:
    a = FIELD.sample(GRID, 40, generator)
    exact = solve_darcy(a, torch.ones_like(a), GRID)
    found = solve_certified(start, a, GRID, tolerance=tolerance)
    error = energy(found.u - exact, a)
    assert found.status == "certified" and (found.relative_bound <= tolerance).all()
    assert (error <= found.bound).all()
    assert (error / energy(exact, a) <= found.relative_bound).all()
    # Not vacuous: a bound a hundred times the error would be met only by needless work.
    assert (found.bound / error).median() < 100


def test_a_start_that_is_good_enough_takes_no_iteration(generator) -> None:
    a = FIELD.sample(GRID, 5, generator)
    exact = solve_darcy(a, torch.ones_like(a), GRID)
    found = solve_certified(lambda u, params: exact.unsqueeze(1), a, GRID, tolerance=1e-6)
    assert (found.iterations == 0).all() and torch.equal(found.u, exact)
    broken = solve_certified(lambda u, params: torch.full_like(u, torch.nan), a, GRID, tolerance=1e-6)
    assert broken.status == "certified" and (broken.iterations > 0).all()


def test_too_few_iterations_are_not_certified(generator) -> None:
    a = FIELD.sample(GRID, 5, generator)
    found = solve_certified(None, a, GRID, tolerance=1e-8, max_iterations=2)
    assert found.status == "not certified" and not found.certified.any()
    exact = solve_darcy(a, torch.ones_like(a), GRID)
    assert (energy(found.u - exact, a) <= found.bound).all(), "the bound holds all the same"
    with pytest.raises(ValueError, match="permeability must be positive"):
        solve_certified(None, -a, GRID, tolerance=0.1)


def test_a_reduced_basis_is_galerkins_projection(generator) -> None:
    """Snapshots are reproduced; elsewhere the error is orthogonal to the basis in the energy product."""
    a = FIELD.sample(GRID, 30, generator)
    snapshots = solve_darcy(a, torch.ones_like(a), GRID)
    full = ReducedBasis.fitted(snapshots, GRID, n_modes=30)
    params = Parameters(a.new_zeros(30, 0), a.unsqueeze(1))
    torch.testing.assert_close(full(snapshots.unsqueeze(1), params)[:, 0], snapshots, rtol=1e-7, atol=1e-10)
    few = ReducedBasis.fitted(snapshots, GRID, n_modes=8)
    error = few(snapshots.unsqueeze(1), params)[:, 0] - snapshots
    products = torch.einsum("bij,mij->bm", diffusion(error, a, GRID), few.basis)
    assert products.abs().max() < 1e-9
    with pytest.raises(ValueError, match="31 modes need as many snapshots, got 30"):
        ReducedBasis.fitted(snapshots, GRID, n_modes=31)
