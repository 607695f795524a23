"""Burgers against Cole and Hopf."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, Parameters, rollout
from duhamel.pdes import Burgers
from duhamel.solvers import ETDRK4, reference_solver, reference_trajectory

pytestmark = pytest.mark.usefixtures("unchecked")  # solvers take thousands of steps


def circle(n: int, length: float = 2 * math.pi) -> Grid:
    return Grid(shape=(n,), extent=(length,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)


def viscosity(*values: float, n: int, dtype: torch.dtype = torch.float64) -> Parameters:
    return Parameters(torch.tensor(values, dtype=dtype).unsqueeze(1), torch.zeros(len(values), 0, n, dtype=dtype))


def initial(grid: Grid) -> Tensor:
    x = 2 * math.pi / grid.extent[0] * grid.coordinates()[0]
    return (torch.sin(x) + 0.2 * torch.cos(2 * x)).reshape(1, 1, -1)


def cole_hopf(x: Tensor, t: float, nu: float) -> Tensor:
    """u = int (x - y) / t w dy / int w dy over the real line, w = exp(-(x - y)^2 / (4 nu t) - H(y) / (2 nu)), H' = u0.

    The trapezoidal rule is spectrally accurate here; the largest exponent is taken out before any exp.
    """
    z = torch.linspace(-9.0, 9.0, 6001, dtype=torch.float64)
    y = x[:, None] - z
    H = -torch.cos(y) + 0.1 * torch.sin(2 * y)
    exponent = -(z**2) / (4 * nu * t) - H / (2 * nu)
    w = torch.softmax(exponent, dim=1)
    assert w[:, 0].max() < 1e-20 and w[:, -1].max() < 1e-20, "the interval cuts the integrand off"
    return (w * z).sum(dim=1) / t


def test_fourth_order_against_cole_hopf() -> None:
    n, nu, T = 256, 0.1, 1.5
    grid, params = circle(n), viscosity(nu, n=n)
    exact = cole_hopf(grid.coordinates()[0], T, nu)
    errors = []
    for n_steps in (50, 100, 200, 400):
        solver = reference_solver(Burgers(), grid, T, substeps=n_steps)
        u = solver(initial(grid), params)[0, 0]
        errors.append(float((u - exact).norm() / exact.norm()))
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert errors[-1] < 1e-10, errors
    assert all(3.8 <= order <= 4.2 for order in orders), (errors, orders)


def test_cole_hopf_at_small_viscosity_on_a_grid_that_resolves_it() -> None:
    n, nu, T = 2048, 0.01, 1.0
    grid = circle(n)
    u = ETDRK4(Burgers(), grid, T, substeps=400)(initial(grid), viscosity(nu, n=n))[0, 0]
    exact = cole_hopf(grid.coordinates()[0], T, nu)
    assert (u - exact).norm() / exact.norm() < 1e-6


@pytest.mark.parametrize("substeps", [100, 400])
def test_an_unresolved_solution_is_refused_whatever_the_step(substeps: int) -> None:
    grid = circle(64)
    solver = ETDRK4(Burgers(), grid, 1.5, substeps=substeps)
    with pytest.raises(ValueError, match=r"sample 1: spectral tail .* exceeds 1.0e-06 on a grid of shape \(64,\)"):
        solver(initial(grid).repeat(2, 1, 1), viscosity(1.0, 0.01, n=64))
    lenient = ETDRK4(Burgers(), grid, 1.5, substeps=substeps, tail_bound=0.9)
    assert lenient(initial(grid), viscosity(0.01, n=64)).isfinite().all()


def test_a_solution_that_blew_up_is_refused() -> None:
    grid = circle(64)
    with pytest.raises(ValueError, match="more substeps"):
        ETDRK4(Burgers(), grid, 1.0, tail_bound=1.0)(1e200 * initial(grid), viscosity(1e-3, n=64))
    unchecked = ETDRK4(Burgers(), grid, 1.0, tail_bound=math.inf)
    assert not unchecked(1e200 * initial(grid), viscosity(1e-3, n=64)).isfinite().all()


def test_a_batch_of_viscosities_equals_one_by_one() -> None:
    grid = circle(96)
    params = viscosity(0.2, 0.5, 1.0, n=96)
    u0 = torch.cat([initial(grid), 0.5 * initial(grid).roll(7, -1), -initial(grid)])
    batch = rollout(ETDRK4(Burgers(), grid, 0.1, substeps=4), u0, params, 3)
    for i in range(3):
        alone = rollout(ETDRK4(Burgers(), grid, 0.1, substeps=4), u0[i : i + 1], params[i : i + 1], 3)
        torch.testing.assert_close(batch[i : i + 1], alone, atol=1e-14, rtol=0)


def test_one_solver_serves_changing_parameters() -> None:
    """Coefficients are kept between calls: they must not outlive the parameters they belong to."""
    grid = circle(96)
    solver = ETDRK4(Burgers(), grid, 0.1, substeps=4)
    params = viscosity(0.3, n=96)
    first = solver(initial(grid), params)
    params.scalars.fill_(0.9)
    changed = solver(initial(grid), params)
    assert (first - changed).abs().max() > 1e-2
    torch.testing.assert_close(changed, ETDRK4(Burgers(), grid, 0.1, substeps=4)(initial(grid), params), atol=0, rtol=0)


def test_mass_is_kept_and_energy_decays() -> None:
    pde, grid = Burgers(), circle(256)
    u0 = initial(grid) + 0.7
    u = reference_trajectory(pde, u0, viscosity(0.1, n=256), grid, 0.1, 15, substeps=10)
    mass = pde.invariants(u, grid)["mass"]
    assert mass.shape == (1, 16)
    assert float(mass[0, 0]) == pytest.approx(0.7 * 2 * math.pi)
    assert (mass - mass[:, :1]).abs().max() < 1e-12
    energy = pde.dissipated(u, grid)["energy"]
    assert (torch.diff(energy, dim=1) < -1e-4).all()


def test_translation_and_reflection() -> None:
    """A shifted state gives a shifted solution; u(x) -> -u(-x) is a symmetry too."""
    grid, params = circle(128), viscosity(0.2, n=128)
    solver = ETDRK4(Burgers(), grid, 0.5, substeps=20)
    u0 = initial(grid)
    u = solver(u0, params)
    torch.testing.assert_close(solver(u0.roll(11, -1), params), u.roll(11, -1), atol=1e-12, rtol=0)
    torch.testing.assert_close(solver(-u0.flip(-1), params), -u.flip(-1), atol=1e-12, rtol=0)


def test_gradients_through_a_rollout_to_state_and_viscosity() -> None:
    n = 12
    grid = circle(n)
    solver = ETDRK4(Burgers(), grid, 0.1, substeps=2, tail_bound=math.inf)
    u0 = initial(grid).clone().requires_grad_()
    nu = torch.tensor([[0.3]], dtype=torch.float64, requires_grad=True)
    fields = torch.zeros(1, 0, n, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda u, nu: rollout(solver, u, Parameters(nu, fields), 3), (u0, nu))


def test_coefficients_made_in_inference_mode_serve_gradients() -> None:
    grid = circle(96)
    solver, params = ETDRK4(Burgers(), grid, 0.1), viscosity(0.5, n=96)
    with torch.inference_mode():
        expected = solver(initial(grid), params)
    u0 = initial(grid).requires_grad_()
    u = solver(u0, params)
    u.sum().backward()
    torch.testing.assert_close(u.detach(), expected)
    # d(sum u)/d u0 = 1: the mass is conserved.
    torch.testing.assert_close(u0.grad, torch.ones_like(u0), atol=1e-12, rtol=0)


def test_float32_follows_float64() -> None:
    grid = circle(128)
    solver = ETDRK4(Burgers(), grid, 0.5, substeps=20)
    u = solver(initial(grid), viscosity(0.2, n=128))
    single = solver(initial(grid).float(), viscosity(0.2, n=128, dtype=torch.float32))
    assert single.dtype is torch.float32
    assert (single - u).norm() / u.norm() < 1e-5


def test_what_burgers_cannot_solve_is_refused() -> None:
    pde, grid = Burgers(), circle(64)
    with pytest.raises(ValueError, match=r"viscosity must lie in \[0, inf\]"):
        reference_solver(pde, grid, 0.1)(initial(grid), viscosity(-0.1, n=64))
    with pytest.raises(ValueError, match="dt > 0"):
        reference_solver(pde, grid, 0.0)
    wall = Grid(shape=(64,), extent=(1.0,), boundary=(Boundary.DIRICHLET,), centring=Centring.NODE)
    with pytest.raises(ValueError, match="periodic"):
        reference_solver(pde, wall, 0.1)
    square = Grid(shape=(8, 8), extent=(1.0, 1.0), boundary=(Boundary.PERIODIC,) * 2, centring=Centring.NODE)
    with pytest.raises(ValueError, match="one space dimension"):
        reference_solver(pde, square, 0.1)
