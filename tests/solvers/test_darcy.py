"""Darcy's finite volumes against manufactured solutions, series and finite differences."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from duhamel.fields import Boundary, Grid, Parameters
from duhamel.pdes import Darcy
from duhamel.pdes.diffusion import diffusion
from duhamel.solvers import reference_solver, solve_darcy

PDE = Darcy()


def manufactured(grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    """u = prod sin(pi x_i), a = 1 + (sum x_i^2) / 2: f = -a Lap u - grad a . grad u, without derivatives of samples."""
    x = grid.mesh().requires_grad_()
    u = torch.sin(math.pi * x).prod(dim=0)
    a = 1 + 0.5 * (x**2).sum(dim=0)
    (grad_u,) = torch.autograd.grad(u.sum(), x)
    f = grid.ndim * math.pi**2 * a * u - (x * grad_u).sum(dim=0)
    return u.detach().unsqueeze(0), a.detach().unsqueeze(0), f.detach().unsqueeze(0)


@pytest.mark.parametrize(("ndim", "sizes"), [(1, (16, 32, 64, 128)), (2, (16, 32, 64)), (3, (6, 12, 24))])
def test_second_order_for_a_manufactured_solution(ndim: int, sizes: tuple[int, ...]) -> None:
    errors = []
    for n in sizes:
        grid = PDE.grid((n,) * ndim)
        u, a, f = manufactured(grid)
        errors.append(float((solve_darcy(a, f, grid) - u).norm() / u.norm()))
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert all(1.9 <= order <= 2.1 for order in orders), (errors, orders)


def test_two_layers_in_one_dimension() -> None:
    """Harmonic faces make the flux exact where a jumps at a cell face: q = c - x, with c from u(1) = 0."""
    grid = PDE.grid((64,))
    x = grid.coordinates()[0]
    a = torch.where(x < 0.5, 12.0, 3.0).to(torch.float64)
    c = (1 / 24 * 0.5 * 0.5 + 1 / 6 * 0.75) / (0.5 / 12 + 0.5 / 3)
    left = (c * x - x**2 / 2) / 12
    right = (c / 2 - 1 / 8) / 12 + (c * (x - 0.5) - (x**2 - 0.25) / 2) / 3
    exact = torch.where(x < 0.5, left, right)
    assert abs(float((c / 2 - 1 / 8) / 12 + (c / 2 - 3 / 8) / 3)) < 1e-15, "the exact solution must vanish at x = 1"
    u = solve_darcy(a.unsqueeze(0), torch.ones(1, 64, dtype=torch.float64), grid)[0]
    assert (u - exact).abs().max() < 0.2 / 64**2


def test_the_largest_pressure_of_the_unit_square() -> None:
    """a = f = 1: 0.0736713532814 at the centre (the torsion problem's series)."""
    series = sum((-1) ** ((j - 1) // 2) / (j**3 * math.cosh(j * math.pi / 2)) * 4 / math.pi**3 for j in range(1, 40, 2))
    exact = 1 / 8 - series
    grid = PDE.grid((65, 65))
    params = Parameters(torch.zeros(1, 0, dtype=torch.float64), torch.ones(1, 1, 65, 65, dtype=torch.float64))
    solver = reference_solver(PDE, grid, 0.0)
    u = solver(torch.zeros(1, 1, 65, 65, dtype=torch.float64), params)
    assert exact == pytest.approx(0.0736713532814, abs=1e-12)
    assert abs(float(u[0, 0, 32, 32]) - exact) < 1 / 65**2 / 8


def test_the_residual_of_the_solution_vanishes_and_fluxes_balance(generator: torch.Generator) -> None:
    grid = PDE.grid((16, 12))
    params = PDE.sample_params(grid, 3, generator)
    guess = PDE.sample_initial(grid, 3, generator)
    u = reference_solver(PDE, grid, 0.0)(guess, params)
    residual = PDE.residual(torch.stack([guess, u], dim=1), params, grid, 0.0)
    assert residual.shape == (3, 1, 1, 16, 12)
    assert residual.abs().max() < 1e-11
    a = params.fields[:, 0]
    hx, hy = grid.spacing
    out = 2 * (a * u[:, 0])[:, [0, -1], :].sum(dim=(1, 2)) * hy / hx
    out += 2 * (a * u[:, 0])[:, :, [0, -1]].sum(dim=(1, 2)) * hx / hy
    torch.testing.assert_close(out, torch.ones(3, dtype=torch.float64), atol=1e-11, rtol=0)


def test_the_operator_is_symmetric_and_positive(generator: torch.Generator) -> None:
    grid = PDE.grid((5, 4, 6))
    a = PDE.sample_params(grid, 1, generator).fields[:, 0]
    basis = torch.eye(120, dtype=torch.float64).reshape(120, 5, 4, 6)
    matrix = diffusion(basis, a.expand(120, -1, -1, -1), grid).reshape(120, 120)
    torch.testing.assert_close(matrix, matrix.T, atol=1e-9, rtol=0)
    assert torch.linalg.eigvalsh(matrix).min() > 3 * math.pi**2 * 0.9 * 3


def test_adjoint_against_finite_differences(generator: torch.Generator) -> None:
    """Directional derivatives of a nonlinear functional; central differences with step 1e-5 err by about 1e-10."""
    grid = PDE.grid((24, 24))
    _, a, f = manufactured(grid)
    weight, da, df = (torch.randn(1, 24, 24, dtype=torch.float64, generator=generator) for _ in range(3))

    def functional(a: Tensor, f: Tensor) -> Tensor:
        u = solve_darcy(a, f, grid)
        return (weight * u + u**2).sum()

    a.requires_grad_()
    f.requires_grad_()
    grad_a, grad_f = torch.autograd.grad(functional(a, f), (a, f))
    eps = 1e-5
    with torch.no_grad():
        along_a = (functional(a + eps * da, f) - functional(a - eps * da, f)) / (2 * eps)
        along_f = (functional(a, f + eps * df) - functional(a, f - eps * df)) / (2 * eps)
    assert float((grad_a * da).sum()) == pytest.approx(float(along_a), rel=1e-6)
    assert float((grad_f * df).sum()) == pytest.approx(float(along_f), rel=1e-6)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (3, 2, 3)])
def test_gradcheck_in_every_dimension(shape: tuple[int, ...], generator: torch.Generator) -> None:
    grid = PDE.grid(shape)
    a = (torch.rand(2, *shape, dtype=torch.float64, generator=generator) + 0.5).requires_grad_()
    f = torch.randn(2, *shape, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, f: solve_darcy(a, f, grid), (a, f))


def test_float32_permeability_gives_float32_pressure_and_gradient() -> None:
    grid = PDE.grid((12, 12))
    u, a, f = manufactured(grid)
    single = a.float().requires_grad_()
    v = solve_darcy(single, f.float(), grid)
    v.sum().backward()
    assert v.dtype is torch.float32 and single.grad is not None and single.grad.dtype is torch.float32
    assert (v - solve_darcy(a, f, grid)).abs().max() < 1e-6


def test_what_darcy_cannot_solve_is_refused() -> None:
    grid = PDE.grid((8, 8))
    with pytest.raises(ValueError, match="permeability must be positive"):
        solve_darcy(torch.zeros(1, 8, 8), torch.ones(1, 8, 8), grid)
    with pytest.raises(ValueError, match="stationary"):
        reference_solver(PDE, grid, 0.1)
    torus = Grid(shape=(8,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=grid.centring)
    with pytest.raises(ValueError, match="dirichlet on every axis"):
        reference_solver(PDE, torus, 0.0)
