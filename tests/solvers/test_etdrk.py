"""The ETDRK4 kernel and what it has in common with exact exponentials."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, Parameters
from duhamel.pdes import Burgers, FisherKPP, Heat, KdV
from duhamel.solvers import ETDRK4, etdrk4_coefficients, reference_solver


def test_coefficients_are_the_closed_forms_where_those_are_safe() -> None:
    symbol = torch.tensor([-40.0, -5.0, 3.0], dtype=torch.float64)
    h = 0.9
    c = etdrk4_coefficients(symbol, h)
    z = h * symbol
    e = torch.exp(z)
    for value, closed in (
        (c.a1, (torch.exp(z / 2) - 1) / z),
        (c.b2, 4 * (torch.exp(z / 2) - 1 - z / 2) / z**2),
        (c.c1 + c.c3, (e - 1) / z),
        (c.f1, (-4 - z + e * (4 - 3 * z + z**2)) / z**3),
        (c.f2, 2 * (2 + z + e * (z - 2)) / z**3),
        (c.f3, (-4 - 3 * z - z**2 + e * (4 - z)) / z**3),
    ):
        assert not value.is_complex()
        torch.testing.assert_close(value, h * closed, atol=1e-14, rtol=1e-12)


def test_coefficients_at_zero_are_those_of_runge_kutta() -> None:
    c = etdrk4_coefficients(torch.tensor([0.0, 1e-9], dtype=torch.float64), 1.0)
    limits = {"a1": 1 / 2, "b1": 0, "b2": 1 / 2, "c1": 0, "c3": 1, "f1": 1 / 6, "f2": 1 / 3, "f3": 1 / 6}
    for name, limit in limits.items():
        value = getattr(c, name)
        torch.testing.assert_close(value, torch.full((2,), limit, dtype=torch.float64), atol=1e-9, rtol=0)
        assert abs(float(value[0]) - limit) < 1e-14


def test_an_odd_symbol_keeps_fourth_order() -> None:
    """KdV against its soliton. With the imaginary parts of the coefficients dropped this falls to first order."""
    pde, n, speed, T = KdV(length=40.0), 256, 2.0, 1.0
    grid = pde.grid((n,))
    params = Parameters(torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 0, n, dtype=torch.float64))

    def soliton(t: float) -> Tensor:
        x = grid.coordinates()[0] - 20.0
        return (speed / 2 / torch.cosh(math.sqrt(speed) / 2 * (x - speed * t)) ** 2).reshape(1, 1, -1)

    errors = []
    for substeps in (100, 200, 400):
        u = ETDRK4(pde, grid, T, substeps=substeps)(soliton(0.0), params)
        errors.append(float((u - soliton(T)).norm() / soliton(T).norm()))
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert min(orders) > 3.7 and errors[-1] < 1e-5, (errors, orders)


def test_modes_that_the_two_thirds_rule_drops_evolve_by_the_linear_part() -> None:
    pde = Burgers()
    grid = pde.grid((16,))
    high = torch.cos(2 * math.pi * 7 * grid.coordinates()[0]).reshape(1, 1, -1)
    params = Parameters(torch.full((1, 1), 0.01, dtype=torch.float64), torch.zeros(1, 0, 16, dtype=torch.float64))
    u = ETDRK4(pde, grid, 0.1, substeps=3, tail_bound=math.inf)(high, params)
    torch.testing.assert_close(u, math.exp(-0.01 * (14 * math.pi) ** 2 * 0.1) * high, atol=1e-13, rtol=0)


@pytest.mark.parametrize("boundary", ["periodic", "neumann", "dirichlet"])
def test_heat_is_exact_in_two_dimensions(boundary: str) -> None:
    """One step of any length multiplies a mode by exp(-kappa |k|^2 dt)."""
    pde = Heat(boundary=boundary)
    grid = pde.grid((12, 15))
    params = Parameters(torch.tensor([[0.01], [0.02]], dtype=torch.float64), torch.zeros(2, 0, 12, 15).double())
    wave = torch.sin if boundary == "dirichlet" else torch.cos
    x, y = grid.mesh()
    u0 = (wave(2 * math.pi * x) * wave(4 * math.pi * y)).expand(2, 1, 12, 15)
    decay = torch.exp(-params.scalars * 20 * math.pi**2 * 0.7).reshape(2, 1, 1, 1)
    torch.testing.assert_close(reference_solver(pde, grid, 0.7)(u0, params), decay * u0, atol=1e-13, rtol=0)


def test_fisher_kpp_without_flux_is_half_of_a_circle(generator: torch.Generator) -> None:
    """The even extension of a solution solves the periodic problem; mixed up conditions are refused."""
    pde = FisherKPP(boundary="neumann")
    grid = pde.grid((64,))
    u0, params = pde.sample_initial(grid, 3, generator), pde.sample_params(grid, 3, generator)
    u = reference_solver(pde, grid, 1.0, substeps=16)(u0, params)
    circle = Grid(shape=(128,), extent=(2.0,), boundary=(Boundary.PERIODIC,), centring=Centring.CELL)
    whole = reference_solver(pde, circle, 1.0, substeps=16)(torch.cat([u0, u0.flip(-1)], -1), params)
    torch.testing.assert_close(torch.cat([u, u.flip(-1)], -1), whole, atol=1e-13, rtol=0)
    wall = Grid(shape=(64,), extent=(1.0,), boundary=(Boundary.DIRICHLET,), centring=Centring.CELL)
    with pytest.raises(ValueError, match="fisher_kpp is solved with periodic or neumann axes, got dirichlet"):
        reference_solver(pde, wall, 1.0)


def test_fisher_kpp_is_the_logistic_curve_where_nothing_varies() -> None:
    pde = FisherKPP(boundary="neumann")
    grid = pde.grid((8, 8))
    r, T, start = torch.tensor([0.5, 2.0], dtype=torch.float64), 1.5, 0.2
    params = Parameters(torch.stack([torch.full_like(r, 0.01), r], 1), torch.zeros(2, 0, 8, 8, dtype=torch.float64))
    u = reference_solver(pde, grid, T, substeps=200)(torch.full((2, 1, 8, 8), start, dtype=torch.float64), params)
    exact = 1 / (1 + (1 / start - 1) * torch.exp(-r * T))
    torch.testing.assert_close(u, exact.reshape(2, 1, 1, 1).expand_as(u), atol=1e-9, rtol=0)
