"""Poisson's equation: exact where periodic, of order two where zero at the ends."""

import math

import pytest
import torch

from duhamel.fields import Parameters
from duhamel.pdes import Poisson
from duhamel.solvers import EXACT, reference_solver


def solved(pde: Poisson, n: int, source, dim: int = 2):
    grid = pde.grid((n,) * dim)
    mesh = grid.mesh()
    params = Parameters(torch.zeros(1, 0, dtype=torch.float64), source(*mesh)[None, None])
    solver = reference_solver(pde, grid, 0.0)
    return grid, mesh, params, solver, solver(torch.zeros(1, 1, *grid.shape, dtype=torch.float64), params)


def test_periodic_solutions_are_exact_and_have_no_residual():
    k = 2 * math.pi
    _, mesh, params, solver, u = solved(Poisson(), 16, lambda x, y: torch.sin(k * x) * torch.cos(3 * k * y))
    exact = torch.sin(k * mesh[0]) * torch.cos(3 * k * mesh[1]) / (10 * k**2)
    assert solver.order == EXACT
    torch.testing.assert_close(u[0, 0], exact, rtol=0, atol=1e-15)
    residual = Poisson().residual(torch.stack([0 * u, u], 1), params, Poisson().grid((16, 16)), 0.0)
    assert residual.abs().max() < 1e-12


@pytest.mark.parametrize("dim", [1, 2])
def test_dirichlet_solutions_are_of_order_two(dim):
    pde = Poisson(boundary="dirichlet")

    def bump(*x):
        return torch.stack([torch.sin(math.pi * axis) for axis in x]).prod(0)

    errors = []
    for n in (16, 32, 64):
        _, mesh, params, solver, u = solved(pde, n, lambda *x: dim * math.pi**2 * bump(*x), dim)
        errors.append(float((u[0, 0] - bump(*mesh)).abs().max()))
        residual = pde.residual(torch.stack([0 * u, u], 1), params, pde.grid((n,) * dim), 0.0)
        assert residual.abs().max() < 1e-9
    orders = [math.log2(a / b) for a, b in zip(errors[:-1], errors[1:], strict=True)]
    assert min(orders) > solver.order - 0.3, (orders, errors)


def test_samples_have_solutions(generator):
    pde = Poisson()
    params = pde.sample_params(pde.grid((16, 16)), 3, generator)
    assert params.fields.mean((2, 3)).abs().max() < 1e-14
    with pytest.raises(ValueError, match="periodic or dirichlet axes, got neumann"):
        Poisson(boundary="neumann")
    with pytest.raises(ValueError, match="stationary: dt must be 0"):
        reference_solver(pde, pde.grid((8, 8)), 0.1)


def test_steps_of_a_stationary_problem_are_refused():
    with pytest.raises(ValueError, match="poisson is stationary: dt must be 0 and substeps 1"):
        reference_solver(Poisson(), Poisson().grid((8,)), 0.0, substeps=2)
