"""The ETDRK4 kernel on equations that no registered solver covers."""

import math
from itertools import pairwise

import torch
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, Parameters
from duhamel.fields.spectral import derivative_symbol, resolved_modes, to_modes, to_samples
from duhamel.solvers import ETDRK4, etdrk4_coefficients


def test_coefficients_are_the_closed_forms_where_those_are_safe() -> None:
    symbol = torch.tensor([-40.0, -5.0, 3.0], dtype=torch.float64)
    h = 0.9
    c = etdrk4_coefficients(symbol, h)
    z = h * symbol
    e = torch.exp(z)
    for value, closed in (
        (c.Q, (torch.exp(z / 2) - 1) / z),
        (c.f1, (-4 - z + e * (4 - 3 * z + z**2)) / z**3),
        (c.f2, (2 + z + e * (z - 2)) / z**3),
        (c.f3, (-4 - 3 * z - z**2 + e * (4 - z)) / z**3),
    ):
        assert not value.is_complex()
        torch.testing.assert_close(value, h * closed, atol=1e-14, rtol=1e-12)


def test_coefficients_at_zero_are_those_of_runge_kutta() -> None:
    c = etdrk4_coefficients(torch.tensor([0.0, 1e-9], dtype=torch.float64), 1.0)
    for value, limit in ((c.Q, 1 / 2), (c.f1, 1 / 6), (c.f2, 1 / 6), (c.f3, 1 / 6)):
        torch.testing.assert_close(value, torch.full((2,), limit, dtype=torch.float64), atol=1e-9, rtol=0)
        assert abs(float(value[0]) - limit) < 1e-14


def test_an_odd_symbol_keeps_fourth_order() -> None:
    """KdV, u_t + 6 u u_x + u_xxx = 0, against its soliton c/2 sech^2(sqrt(c)/2 (x - ct)).

    With the imaginary parts of the coefficients dropped this falls to first order.
    """
    length, n, speed, T = 40.0, 256, 2.0, 1.0
    grid = Grid(
        shape=(n,), extent=(length,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE, origin=(-length / 2,)
    )
    x = grid.coordinates()[0]

    def soliton(t: float) -> Tensor:
        return (speed / 2 / torch.cosh(math.sqrt(speed) / 2 * (x - speed * t)) ** 2).reshape(1, 1, -1)

    def flux(u_hat: Tensor, params: Parameters) -> Tensor:
        kept = resolved_modes(grid)
        return -3 * derivative_symbol(grid, 0) * kept * to_modes(to_samples(u_hat * kept, grid) ** 2, grid)

    errors = []
    for substeps in (100, 200, 400):
        solver = ETDRK4(
            grid,
            T,
            symbol=lambda params: -derivative_symbol(grid, 0, order=3),
            nonlinearity=flux,
            substeps=substeps,
            tail_bound=1e-5,
        )
        u = solver(soliton(0.0), Parameters.none(1, (n,), dtype=torch.float64))
        errors.append(float((u - soliton(T)).norm() / soliton(T).norm()))
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert min(orders) > 3.7 and errors[-1] < 1e-5, (errors, orders)


def test_a_linear_equation_in_two_dimensions_is_exact() -> None:
    """Heat with N = 0: one step of any length multiplies a mode by exp(-kappa |k|^2 dt)."""
    grid = Grid(shape=(12, 15), extent=(1.0, 2.0), boundary=(Boundary.PERIODIC,) * 2, centring=Centring.CELL)

    def laplacian(params: Parameters) -> Tensor:
        square = sum(derivative_symbol(grid, axis, order=2).real for axis in range(2))
        return params.scalars[:, :, None, None] * square

    solver = ETDRK4(grid, 0.7, symbol=laplacian, nonlinearity=lambda u_hat, params: torch.zeros_like(u_hat))
    x, y = grid.mesh()
    u0 = (torch.sin(2 * math.pi * x) * torch.cos(2 * math.pi * y)).expand(2, 1, 12, 15)
    params = Parameters(torch.tensor([[0.01], [0.02]], dtype=torch.float64), torch.zeros(2, 0, 12, 15).double())
    decay = torch.exp(-params.scalars * 8 * math.pi**2 * 0.7).reshape(2, 1, 1, 1)
    torch.testing.assert_close(solver(u0, params), decay * u0, atol=1e-13, rtol=0)
