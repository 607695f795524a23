"""Ideal gases: exact Riemann problems, vortex, Couette flow, Becker's shock, conservation, near vacuum."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from duhamel.benchmark.exact_flows import becker, vortex
from duhamel.fields import Boundary, Centring, Grid, Parameters
from duhamel.pdes import CompressibleNavierStokes, Euler
from duhamel.solvers import FiniteVolume, IdealGas, ViscousGas, reference_solver
from tests.verification.riemann import cell_means, euler


def nothing(grid: Grid, batch: int = 1) -> Parameters:
    return Parameters.none(batch, grid.shape, dtype=torch.float64)


def viscosities(grid: Grid, shear: float, bulk: float = 0.0) -> Parameters:
    return Parameters(torch.tensor([[shear, bulk]], dtype=torch.float64), nothing(grid).fields)


def tube(n: int, left: tuple[float, ...], right: tuple[float, ...]) -> tuple[Euler, Grid, Tensor]:
    pde = Euler(ndim=1, boundary="open", heat_ratio=1.4)
    grid = pde.grid((n,))
    x = grid.coordinates()[0]
    sides = torch.tensor([left, right], dtype=torch.float64)
    return pde, grid, torch.where(x < 0.5, sides[0][:, None], sides[1][:, None]).unsqueeze(0)


def test_sod_converges_at_the_rate_of_its_contact() -> None:
    left, right = (1.0, 1.0, 0.0), (0.125, 0.1, 0.0)
    errors = []
    for n in (50, 100, 200):
        pde, grid, u0 = tube(n, left, right)
        u = reference_solver(pde, grid, 0.2)(u0, nothing(grid))[0]
        truth = cell_means(euler(left, right, 1.4), grid, 0.5, 0.2)
        errors.append(float((u - truth)[0].abs().sum() / truth[0].abs().sum()))
        for name, value in pde.invariants(u0[0], grid).items():
            # Only the pressures at the ends act on the tube: 0.9 times the time.
            expected = value + (0.18 if name == "momentum_x" else 0.0)
            assert float(pde.invariants(u, grid)[name]) == pytest.approx(float(expected), abs=1e-13)
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert all(0.75 <= order <= 1.1 for order in orders) and errors[-1] < 6e-3, (errors, orders)


@pytest.mark.parametrize("speed", [2.0, 10.0])
def test_near_vacuum_stays_positive(speed: float) -> None:
    """Two rarefactions: Toro's problem 123, and speeds beyond 2 c / (gamma - 1) that leave a vacuum."""
    left, right = (1.0, 0.4, -speed), (1.0, 0.4, speed)
    pde, grid, u0 = tube(100, left, right)
    u = reference_solver(pde, grid, 0.3 / speed)(u0, nothing(grid))[0]
    assert u[:2].min() > 0
    before, after = (pde.invariants(state, grid)["energy"] for state in (u0[0], u))
    assert float(after) == pytest.approx(
        float(before - 2 * 0.3 / speed * (1.4 * 1.0 + speed**2 / 2) * speed), rel=1e-10
    )
    if speed == 2.0:
        truth = cell_means(euler(left, right, 1.4), grid, 0.5, 0.15)
        assert (u - truth)[0].abs().mean() < 0.01


def test_isentropic_vortex_to_second_order() -> None:
    errors = []
    for n in (32, 64):
        pde, grid, u0 = vortex(n, 0.0)
        u = reference_solver(pde, grid, 1.0)(u0, nothing(grid))
        errors.append(float((u - vortex(n, 1.0)[2])[:, 0].abs().mean()))
    order = math.log2(errors[0] / errors[1])
    assert order >= 1.9, (errors, order)


@pytest.mark.parametrize(("ndim", "n"), [(1, 48), (2, 20), (3, 8)])
def test_mass_momentum_and_energy_to_rounding(ndim: int, n: int, generator: torch.Generator) -> None:
    for pde in (Euler(ndim=ndim), CompressibleNavierStokes(ndim=ndim, prandtl=0.7)):
        grid = pde.grid((n,) * ndim)
        u0, params = pde.sample_initial(grid, 3, generator), pde.sample_params(grid, 3, generator)
        solver = reference_solver(pde, grid, 0.02)
        u = solver(u0, params)
        before, after = pde.invariants(u0, grid), pde.invariants(u, grid)
        for name in before:
            assert ((after[name] - before[name]).abs() / before["energy"]).max() < 5e-15, name
        assert (u - u0).abs().max() > 1e-3
        alone = torch.cat([solver(u0[i : i + 1], params[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(u, alone, atol=0, rtol=1e-13)


def test_walls_keep_mass_and_energy(generator: torch.Generator) -> None:
    pde = Euler(ndim=2, boundary="wall")
    grid = pde.grid((16, 12))
    u0 = pde.sample_initial(grid, 2, generator)
    u = reference_solver(pde, grid, 0.05)(u0, nothing(grid, 2))
    before, after = pde.invariants(u0, grid), pde.invariants(u, grid)
    for name in ("mass", "energy"):
        torch.testing.assert_close(after[name], before[name], atol=0, rtol=1e-14)
    assert (after["momentum_x"] - before["momentum_x"]).abs().max() > 1e-3


def test_couette_flow_starts_as_its_series_says() -> None:
    """The upper wall moves with U = 1e-3: v = U (y + sum 2 (-1)^k / (k pi) exp(-nu (k pi)^2 t) sin(k pi y))."""
    U, nu, t, errors = 1e-3, 0.1, 0.5, []
    pde = CompressibleNavierStokes(ndim=2)
    for n in (8, 16):
        grid = Grid(
            shape=(2, n), extent=(0.2, 1.0), boundary=(Boundary.PERIODIC, Boundary.WALL), centring=Centring.CELL
        )
        y = grid.coordinates()[1]
        k = torch.arange(1, 40, dtype=torch.float64)[:, None]
        modes = 2 * (-1) ** k / (k * math.pi) * torch.exp(-nu * (k * math.pi) ** 2 * t) * torch.sin(k * math.pi * y)
        u0 = torch.zeros(1, 4, 2, n, dtype=torch.float64)
        u0[:, :2] = 1.0
        law = ViscousGas(pde, wall_velocity={(1, 1): (U, 0.0)})
        u = FiniteVolume(law, grid, t)(u0, viscosities(grid, nu))
        errors.append(float((u[0, 2, 0] / U - y - modes.sum(dim=0)).abs().max()))
        assert (u[0, 3].abs().max()) < 1e-5
    assert math.log2(errors[0] / errors[1]) > 1.8, errors


def test_beckers_shock_stands_to_second_order() -> None:
    errors = []
    for n in (64, 128):
        pde, grid, u0, params = becker(n)
        errors.append(float((reference_solver(pde, grid, 0.1)(u0, params) - u0)[:, 0].abs().mean()))
    residuals = []
    for n in (256, 512):
        pde, grid, u0, params = becker(n)
        residuals.append(float(pde.tendency(u0, params, grid).abs().mean()))
    assert math.log2(errors[0] / errors[1]) > 1.8, errors
    assert math.log2(residuals[0] / residuals[1]) > 1.8, residuals


def test_the_viscous_terms_are_those_of_the_equation(generator: torch.Generator) -> None:
    """One short step against `tendency`, in two dimensions: cross derivatives, bulk viscosity, heating, conduction."""
    errors = []
    for n in (24, 48):
        pde = CompressibleNavierStokes(ndim=2, prandtl=0.7)
        grid = pde.grid((n, n))
        x, y = (2 * math.pi * c for c in grid.mesh())
        u = torch.stack(
            [1.5 + 0.2 * torch.sin(x + y), 2 + 0.3 * torch.cos(y), torch.sin(x) * torch.cos(y), torch.cos(x - y)]
        )
        params, dt = viscosities(grid, 0.3, 0.2), 1e-7
        step = reference_solver(pde, grid, dt)(u.unsqueeze(0), params) - u
        inviscid = FiniteVolume(IdealGas(pde.heat_ratio), grid, dt)(u.unsqueeze(0), nothing(grid)) - u
        viscous = pde.tendency(u.unsqueeze(0), params, grid) - Euler(ndim=2).tendency(u.unsqueeze(0), params, grid)
        errors.append(float(((step - inviscid) / dt - viscous).norm() / viscous.norm()))
    assert math.log2(errors[0] / errors[1]) > 1.9 and errors[1] < 0.02, errors


def test_gradient_against_finite_differences(generator: torch.Generator) -> None:
    pde = CompressibleNavierStokes(ndim=2)
    grid = pde.grid((8, 6))
    u0, params = pde.sample_initial(grid, 1, generator), pde.sample_params(grid, 1, generator)
    solver = reference_solver(pde, grid, 0.01)
    u, nu = u0.clone().requires_grad_(), params.scalars.clone().requires_grad_()
    weight, du = (torch.randn(u0.shape, dtype=torch.float64, generator=generator) for _ in range(2))
    dnu = torch.tensor([[0.7, -0.4]], dtype=torch.float64) * params.scalars
    grads = torch.autograd.grad((weight * solver(u, Parameters(nu, params.fields))).sum(), (u, nu))
    eps = 1e-6
    with torch.no_grad():
        plus, minus = (
            (weight * solver(u0 + s * du, Parameters(params.scalars + s * dnu, params.fields))).sum()
            for s in (eps, -eps)
        )
    along = float((grads[0] * du).sum() + (grads[1] * dnu).sum())
    assert along == pytest.approx(float((plus - minus) / (2 * eps)), rel=1e-6)


def test_float32_follows_float64(generator: torch.Generator) -> None:
    pde = Euler(ndim=2)
    grid = pde.grid((16, 16))
    u0 = pde.sample_initial(grid, 2, generator)
    solver = reference_solver(pde, grid, 0.02)
    single = solver(u0.float(), nothing(grid, 2).to(torch.float32))
    assert single.dtype is torch.float32
    torch.testing.assert_close(single.double(), solver(u0, nothing(grid, 2)), atol=1e-4, rtol=1e-4)


def test_what_is_not_a_gas_is_refused() -> None:
    pde = Euler(ndim=1)
    grid = pde.grid((8,))
    u0 = torch.ones(2, 3, 8, dtype=torch.float64)
    u0[1, 1, 3] = -1.0
    with pytest.raises(ValueError, match="sample 1: the state is not finite"):
        reference_solver(pde, grid, 0.1)(u0, nothing(grid, 2))
    with pytest.raises(ValueError, match="cfl must lie"):
        FiniteVolume(IdealGas(1.4), grid, 0.1, cfl=0.9)
    node = Grid(shape=(8,), extent=(1.0,), boundary=(Boundary.DIRICHLET,), centring=Centring.CELL)
    with pytest.raises(ValueError, match="periodic or wall or open"):
        reference_solver(pde, node, 0.1)
    with pytest.raises(ValueError, match="has 1 space dimensions"):
        pde.grid((8, 8))
