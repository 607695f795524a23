"""Resampling against the functions that the samples came from."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, resample

PERIODIC, DIRICHLET = Boundary.PERIODIC, Boundary.DIRICHLET


def circle(n: int, centring: Centring = Centring.NODE, origin: float = 0.0) -> Grid:
    return Grid(shape=(n,), extent=(2.0,), boundary=(PERIODIC,), centring=centring, origin=(origin,))


def wave(grid: Grid) -> Tensor:
    """Modes up to 4: held by 9 points or more."""
    x = math.pi * grid.coordinates()[0]
    return (1.5 + torch.sin(x) - 0.3 * torch.cos(3 * x) + 0.2 * torch.sin(4 * x + 0.7)).reshape(1, 1, -1)


@pytest.mark.parametrize("centring", Centring)
@pytest.mark.parametrize("target_centring", Centring)
@pytest.mark.parametrize(("n", "m"), [(9, 10), (10, 9), (16, 64), (64, 16), (15, 45), (33, 16), (16, 16)])
def test_band_limited_fields_are_exact_up_and_down(
    centring: Centring, target_centring: Centring, n: int, m: int
) -> None:
    grid, target = circle(n, centring), circle(m, target_centring)
    assert (resample(wave(grid), grid, target) - wave(target)).abs().max() < 1e-12


def test_a_circle_may_be_cut_open_elsewhere() -> None:
    grid, target = circle(16, Centring.CELL), circle(12, origin=-0.7)
    assert (resample(wave(grid), grid, target) - wave(target)).abs().max() < 1e-12


def test_striding_and_resampling_agree_on_cells() -> None:
    grid = circle(32, Centring.CELL)
    torch.testing.assert_close(resample(wave(grid), grid, grid.strided(4)), wave(grid)[..., ::4], atol=1e-13, rtol=0)


def test_two_dimensions_and_a_round_trip() -> None:
    grid = Grid(shape=(12, 15), extent=(1.0, 3.0), boundary=(PERIODIC,) * 2, centring=Centring.CELL)
    fine = grid.with_shape((31, 20))
    noise = torch.randn(2, 3, 12, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # An even axis cannot give back the phase of its highest mode: it is removed first.
    highest = noise.reshape(2, 3, 6, 2, 15).mul(torch.tensor([1.0, -1.0]).reshape(2, 1)).sum(dim=(2, 3)) / 12
    sign = torch.tensor([1.0, -1.0] * 6, dtype=torch.float64).reshape(12, 1)
    smooth = noise - sign * highest.unsqueeze(2)
    torch.testing.assert_close(resample(resample(smooth, grid, fine), fine, grid), smooth, atol=1e-12, rtol=0)


@pytest.mark.parametrize("centring", Centring)
def test_local_interpolation_is_of_order_four(centring: Centring) -> None:
    def error(n: int) -> float:
        grid = Grid(shape=(n,), extent=(1.5,), boundary=(DIRICHLET,), centring=centring, origin=(0.5,))
        target = grid.with_shape((3 * n - 1,))
        x, y = grid.coordinates()[0], target.coordinates()[0]
        return float((resample(torch.exp(x).reshape(1, 1, -1), grid, target) - torch.exp(y)).abs().max())

    errors = [error(n) for n in (16, 32, 64)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(3.7 < order < 4.3 for order in orders), (errors, orders)


def test_local_interpolation_reproduces_cubics_to_the_ends() -> None:
    grid = Grid(shape=(6,), extent=(1.0,), boundary=(Boundary.OPEN,), centring=Centring.CELL)
    target = grid.with_shape((25,))
    x, y = grid.coordinates()[0], target.coordinates()[0]
    assert y[0] < x[0]
    cubic = resample((x**3 - 2 * x).reshape(1, 1, -1), grid, target)[0, 0]
    torch.testing.assert_close(cubic, y**3 - 2 * y, atol=1e-13, rtol=0)


def test_gradient_is_the_transpose() -> None:
    grid = Grid(shape=(6, 5), extent=(1.0, 1.0), boundary=(PERIODIC, DIRICHLET), centring=Centring.NODE)
    target = grid.with_shape((9, 7))
    u = torch.randn(1, 1, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: resample(v, grid, target), u)


def test_dtype_follows_the_state() -> None:
    grid = circle(16)
    assert resample(wave(grid).float(), grid, circle(32)).dtype is torch.float32


def test_other_domains_and_states_are_refused() -> None:
    grid = circle(16)
    longer = Grid(shape=(16,), extent=(2.5,), boundary=(PERIODIC,), centring=Centring.NODE)
    with pytest.raises(ValueError, match="same domain"):
        resample(wave(grid), grid, longer)
    box = Grid(shape=(8,), extent=(1.0,), boundary=(DIRICHLET,), centring=Centring.CELL)
    moved = Grid(shape=(8,), extent=(1.0,), boundary=(DIRICHLET,), centring=Centring.CELL, origin=(0.1,))
    with pytest.raises(ValueError, match="same domain"):
        resample(torch.zeros(1, 1, 8), box, moved)
    with pytest.raises(ValueError, match="do not lie on a grid"):
        resample(torch.zeros(1, 1, 8), grid, grid)
    with pytest.raises(ValueError, match="at least 4 points"):
        resample(torch.zeros(1, 1, 3), box.with_shape((3,)), box)
