"""Shallow water: dam breaks with exact solutions, a lake at rest, mass, symmetry, drying."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from duhamel.fields import Boundary, GaussianField, Grid, Parameters, rollout
from duhamel.pdes import ShallowWater
from duhamel.solvers import FiniteVolume, WaterColumn, reference_solver
from tests.verification.riemann import Profile, cell_means, ritter, stoker

HILLS = GaussianField(sigma=4.0, tau=2.0, alpha=2.0, n_modes=4, mean=0.5)


def dam(n: int, left: float, right: float) -> tuple[ShallowWater, Grid, Tensor]:
    pde = ShallowWater(ndim=1, side=2.0)
    grid = pde.grid((n,))
    x = grid.coordinates()[0]
    h = torch.where(x < 0, left, right).to(torch.float64)
    return pde, grid, torch.stack([h, torch.zeros_like(h)]).unsqueeze(0)


def flat(grid: Grid, batch: int = 1) -> Parameters:
    return Parameters(torch.zeros(batch, 0), torch.zeros(batch, 1, *grid.shape, dtype=torch.float64))


@pytest.mark.parametrize(
    ("right", "exact", "bound"), [(1.0, stoker(2.0, 1.0, 1.0), 1.2e-3), (0.0, ritter(2.0, 1.0), 3e-3)]
)
def test_dam_breaks_converge_in_the_mean(right: float, exact: Profile, bound: float) -> None:
    """Stoker (wet) and Ritter (dry): shocks and fronts allow no more than first order in L1.

    Where in a cell the shock lies makes the error of one mesh vary by a third: the order is that over three halvings.
    """
    errors = []
    for n in (50, 400):
        pde, grid, u0 = dam(n, 2.0, right)
        u = reference_solver(pde, grid, 0.3)(u0, flat(grid))[0]
        truth = cell_means(exact, grid, 0.0, 0.3)
        errors.append(float((u - truth)[0].abs().sum() / truth[0].abs().sum()))
        assert u[0].min() >= 0
    order = math.log2(errors[0] / errors[-1]) / 3
    assert 0.75 < order < 1.1 and errors[-1] < bound, (errors, order)


@pytest.mark.parametrize("boundary", ["wall", "periodic", "open"])
def test_a_lake_with_islands_stays_at_rest_to_rounding(boundary: str, generator: torch.Generator) -> None:
    pde = ShallowWater(bathymetry=HILLS, boundary=boundary)
    grid = pde.grid((16, 12))
    params = pde.sample_params(grid, 3, generator)
    height = (1.0 - params.fields).clamp_min(0)
    assert (height == 0).any() and (height > 0.5).any()
    u0 = torch.cat([height, torch.zeros(3, 2, 16, 12, dtype=torch.float64)], dim=1)
    u = rollout(reference_solver(pde, grid, 1.0), u0, params, 3)
    assert (u - u0.unsqueeze(1)).abs().max() < 1e-14


def test_water_is_kept_between_walls_and_dry_land_stays_dry_or_floods(generator: torch.Generator) -> None:
    pde = ShallowWater(bathymetry=HILLS, boundary="wall")
    grid = pde.grid((20, 20))
    params = pde.sample_params(grid, 2, generator)
    u0 = pde.sample_initial(grid, 2, generator)
    u0[:, :1] = (u0[:, :1] - params.fields).clamp_min(0)
    u = rollout(reference_solver(pde, grid, 0.25), u0, params, 4, include_initial=True)
    mass = pde.invariants(u, grid)["mass"]
    assert ((mass - mass[:, :1]).abs() / mass[:, :1]).max() < 1e-14
    assert u[:, :, 0].min() > -1e-15 and (u[:, -1] - u[:, 0]).abs().max() > 0.1


def test_the_radial_dam_keeps_its_symmetries(generator: torch.Generator) -> None:
    pde = ShallowWater()
    grid = pde.grid((24, 24))
    u = reference_solver(pde, grid, 0.5)(pde.sample_initial(grid, 2, generator), flat(grid, 2))
    assert torch.equal(u[:, 0], u[:, 0].flip(1)) and torch.equal(u[:, 1], -u[:, 1].flip(1))
    torch.testing.assert_close(u[:, 0], u[:, 0].mT, atol=1e-14, rtol=0)
    torch.testing.assert_close(u[:, 1], u[:, 2].mT, atol=1e-14, rtol=0)


def test_one_dimension_is_two_without_change_across(generator: torch.Generator) -> None:
    line, plane = ShallowWater(ndim=1, bathymetry=HILLS), ShallowWater()
    g1 = line.grid((32,))
    g2 = Grid(shape=(3, 32), extent=(1.0, 5.0), boundary=(Boundary.PERIODIC, Boundary.OPEN), centring=g1.centring)
    b = line.sample_params(g1, 2, generator)
    u0 = line.sample_initial(g1, 2, generator)
    wide = Parameters(b.scalars, b.fields.unsqueeze(2).expand(-1, -1, 3, -1))
    u0_wide = torch.stack([u0[:, 0], torch.zeros_like(u0[:, 0]), u0[:, 1]], dim=1).unsqueeze(2).expand(-1, -1, 3, -1)
    # The bound on steps counts axes: equal steps are forced.
    one = FiniteVolume(WaterColumn(1.0), g1, 0.3, substeps=64)(u0, b)
    two = FiniteVolume(WaterColumn(plane.gravity), g2, 0.3, substeps=64)(u0_wide, wide)
    torch.testing.assert_close(two[:, [0, 2], 1], one, atol=1e-14, rtol=0)
    assert two[:, 1].abs().max() == 0


def test_smooth_waves_over_a_bed_converge_to_second_order() -> None:
    """Against 512 points; means over cells are restricted by means."""
    pde = ShallowWater(ndim=1, side=1.0, boundary="periodic")

    def solve(n: int) -> Tensor:
        grid = pde.grid((n,))
        x = grid.coordinates()[0]
        bed = 0.1 * torch.sin(2 * math.pi * x)
        h = 1 - bed + 0.05 * torch.cos(2 * math.pi * x)
        u0 = torch.stack([h, 0.1 * torch.ones_like(h)]).unsqueeze(0)
        params = Parameters(torch.zeros(1, 0), bed.reshape(1, 1, -1))
        return reference_solver(pde, grid, 0.2)(u0, params)

    truth = solve(512)
    errors = [float((solve(n) - truth.unflatten(-1, (n, -1)).mean(dim=-1)).abs().mean()) for n in (32, 64, 128)]
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert min(orders) > 1.7, (errors, orders)


def test_gradient_against_finite_differences(generator: torch.Generator) -> None:
    pde = ShallowWater(ndim=1, bathymetry=HILLS)
    grid = pde.grid((16,))
    params = pde.sample_params(grid, 1, generator)
    u0 = pde.sample_initial(grid, 1, generator) + 0.3
    u0[:, 0] += 0.1 * torch.rand(1, 16, dtype=torch.float64, generator=generator)
    solver = reference_solver(pde, grid, 0.3)
    b = params.fields.clone().requires_grad_()
    u = u0.clone().requires_grad_()
    weight = torch.randn(u0.shape, dtype=torch.float64, generator=generator)
    grads = torch.autograd.grad((weight * solver(u, Parameters(params.scalars, b))).sum(), (u, b))
    du, db = (torch.randn(t.shape, dtype=torch.float64, generator=generator) for t in (u, b))
    eps = 1e-6
    with torch.no_grad():
        plus, minus = (
            (weight * solver(u0 + s * du, Parameters(params.scalars, params.fields + s * db))).sum()
            for s in (eps, -eps)
        )
    along = float((grads[0] * du).sum() + (grads[1] * db).sum())
    assert along == pytest.approx(float((plus - minus) / (2 * eps)), rel=1e-6)
