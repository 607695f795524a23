"""Fourier calculus against analysis."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid
from duhamel.fields.spectral import (
    derivative,
    derivative_symbol,
    resolved_modes,
    to_modes,
    to_samples,
    wavenumbers,
)

PERIODIC = Boundary.PERIODIC


def circle(n: int, length: float = 3.0, centring: Centring = Centring.NODE) -> Grid:
    return Grid(shape=(n,), extent=(length,), boundary=(PERIODIC,), centring=centring)


@pytest.mark.parametrize("n", [32, 33])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_of_a_smooth_function(n: int, order: int) -> None:
    grid = circle(n)
    k = 2 * math.pi / 3.0
    x = grid.coordinates()[0]
    u = torch.sin(3 * k * x) + 0.5 * torch.cos(5 * k * x)
    # Every derivative turns the phase of a wave by a quarter.
    quarter = order * math.pi / 2
    exact = (3 * k) ** order * torch.sin(3 * k * x + quarter) + 0.5 * (5 * k) ** order * torch.cos(5 * k * x + quarter)
    error = (derivative(u, grid, 0, order=order) - exact).abs().max() / exact.abs().max()
    assert error < 1e-12


def test_highest_mode_of_an_even_grid() -> None:
    grid = circle(8, length=2 * math.pi)
    sawtooth = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64)
    assert derivative(sawtooth, grid, 0).abs().max() < 1e-14
    torch.testing.assert_close(derivative(sawtooth, grid, 0, order=2), -16 * sawtooth, atol=1e-12, rtol=0)


def test_highest_mode_of_an_axis_that_is_not_halved() -> None:
    """Along the first of two axes the symbol acts on both signs of j: one that is not zero there leaves sin(y)."""
    grid = Grid(shape=(8, 9), extent=(2 * math.pi,) * 2, boundary=(PERIODIC,) * 2, centring=Centring.NODE)
    sawtooth = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64)
    u = sawtooth.unsqueeze(1) * torch.cos(grid.coordinates()[1])
    assert to_samples(derivative_symbol(grid, 0) * to_modes(u, grid), grid).abs().max() < 1e-13


def test_mixed_derivative_in_three_dimensions_with_leading_axes() -> None:
    grid = Grid(shape=(16, 15, 12), extent=(1.0, 2.0, 3.0), boundary=(PERIODIC,) * 3, centring=Centring.CELL)
    x, y, z = grid.mesh()
    k, m, p = 2 * math.pi, math.pi, 2 * math.pi / 3
    u = torch.sin(k * x) * torch.cos(2 * m * y) * torch.sin(p * z)
    exact = k * p * torch.cos(k * x) * torch.cos(2 * m * y) * torch.cos(p * z)
    u_xz = derivative(derivative(u.expand(2, 3, *grid.shape), grid, 0), grid, -1)
    torch.testing.assert_close(u_xz, exact.expand_as(u_xz), atol=1e-11, rtol=0)


def test_only_the_differentiated_axis_must_be_periodic() -> None:
    channel = Grid(shape=(16, 5), extent=(1.0, 1.0), boundary=(PERIODIC, Boundary.WALL), centring=Centring.CELL)
    x, y = channel.mesh()
    u = torch.sin(2 * math.pi * x) * y
    exact = 2 * math.pi * torch.cos(2 * math.pi * x) * y
    torch.testing.assert_close(derivative(u, channel, 0), exact, atol=1e-12, rtol=0)
    with pytest.raises(ValueError, match="axis 1 has boundary wall"):
        derivative(u, channel, 1)


def test_wavenumbers_follow_the_layout_of_rfftn() -> None:
    grid = Grid(shape=(4, 6), extent=(2.0, 3.0), boundary=(PERIODIC,) * 2, centring=Centring.NODE)
    kx, ky = wavenumbers(grid)
    assert kx.shape == (4, 1) and ky.shape == (1, 4)
    torch.testing.assert_close(kx[:, 0] / math.pi, torch.tensor([0.0, 1.0, -2.0, -1.0], dtype=torch.float64))
    torch.testing.assert_close(ky[0] * 3 / (2 * math.pi), torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=torch.float64))
    u = torch.randn(2, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(to_samples(to_modes(u, grid), grid), u, atol=1e-14, rtol=0)


@pytest.mark.parametrize("n", [30, 31, 32, 33])
def test_two_thirds_rule_removes_every_alias_of_a_product(n: int) -> None:
    grid = circle(n)
    kept = resolved_modes(grid)
    # Two kept modes add up to at most 2 j; its alias n - 2 j must fall outside of what is kept.
    j = int(kept.nonzero().max())
    assert n - 2 * j > j
    assert 3 * (j + 1) >= n, "more modes are thrown away than the rule asks for"


def test_constants_made_in_inference_mode_serve_gradients() -> None:
    grid = circle(14, length=1.5)
    with torch.inference_mode():
        derivative(torch.ones(14, dtype=torch.float64), grid, 0)
    u = torch.randn(14, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: derivative(v, grid, 0), u)
