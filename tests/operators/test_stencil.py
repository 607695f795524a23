"""Ends of stencils: a box without flux is half of a periodic one, on nodes and on cells."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid
from duhamel.operators.local_kernels import IntegralKernel
from duhamel.operators.stencil import Stencil, ends_of, pad


def box(n, centring, *, dim=1, boundary=Boundary.NEUMANN):
    return Grid(shape=(n,) * dim, extent=(1.0,) * dim, boundary=(boundary,) * dim, centring=centring)


def doubled(v, centring):
    """The even extension of v along its space axes, one period of it."""
    for axis in range(2, v.ndim):
        n = v.shape[axis]
        mirrored = v.flip(axis) if centring is Centring.CELL else v.flip(axis).narrow(axis, 1, n - 2)
        v = torch.cat([v, mirrored], dim=axis)
    return v


def even(weight):
    """The part of a kernel that mirrors along every space axis leave alone."""
    for axis in range(2, weight.ndim):
        weight = (weight + weight.flip(axis)) / 2
    return weight


@pytest.mark.parametrize("centring", Centring)
@pytest.mark.parametrize(("dim", "size"), [(1, 3), (1, 7), (2, 5), (3, 3)])
def test_even_stencils_commute_with_the_even_extension_of_a_box_without_flux(dim, size, centring):
    torch.manual_seed(0)
    n = 6
    grid = box(n, centring, dim=dim)
    period = 2 * n if centring is Centring.CELL else 2 * n - 2
    whole = box(period, Centring.NODE, dim=dim, boundary=Boundary.PERIODIC)
    v = torch.randn(2, 3, *grid.shape, dtype=torch.float64)
    here, there = (Stencil(3, 2, ends=ends_of(g), size=size).double() for g in (grid, whole))
    with torch.no_grad():
        here.convolution.weight.copy_(even(here.convolution.weight))
    there.load_state_dict(here.state_dict())
    torch.testing.assert_close(doubled(here(v), centring), there(doubled(v, centring)), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("centring", Centring)
def test_integrals_over_neighbourhoods_do_too(centring):
    torch.manual_seed(0)
    n = 12
    grid = box(n, centring)
    h, period = grid.spacing[0], 2 * n if centring is Centring.CELL else 2 * n - 2
    whole = Grid(shape=(period,), extent=(period * h,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    v = torch.randn(2, 3, n, dtype=torch.float64)
    here, there = (IntegralKernel(3, 2, grid=g, radius=0.4).double() for g in (grid, whole))
    with torch.no_grad():
        here.weight.copy_((here.weight + here.weight.flip(2)) / 2)
    there.load_state_dict(here.state_dict())
    expected = there(doubled(v, centring), whole)
    torch.testing.assert_close(doubled(here(v, grid), centring), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("centring", Centring)
def test_second_differences_are_of_second_order_up_to_the_ends(centring):
    errors = []
    for n in (20, 40, 80):
        grid = box(n, centring)
        (x,) = grid.coordinates()
        stencil = Stencil(1, 1, ends=ends_of(grid), bias=False).double()
        with torch.no_grad():
            stencil.convolution.weight.copy_(torch.tensor([1.0, -2.0, 1.0]) / grid.spacing[0] ** 2)
        second = stencil(torch.cos(math.pi * x)[None, None])
        errors.append((second + math.pi**2 * torch.cos(math.pi * x)).abs().max().item())
    orders = [math.log2(a / b) for a, b in zip(errors[:-1], errors[1:], strict=True)]
    assert min(orders) > 1.9, (errors, orders)


def test_axes_have_ends_of_their_own():
    v = torch.arange(6, dtype=torch.float64).reshape(1, 1, 2, 3)
    kinds = {
        Boundary.PERIODIC: [2.0, 0.0, 1.0, 2.0, 0.0],
        Boundary.NEUMANN: [0.0, 0.0, 1.0, 2.0, 2.0],
        Boundary.WALL: [0.0, 0.0, 1.0, 2.0, 0.0],
    }
    for boundary, row in kinds.items():
        grid = Grid(shape=(2, 3), extent=(1.0, 1.0), boundary=(Boundary.DIRICHLET, boundary), centring=Centring.CELL)
        padded = pad(v, 1, ends_of(grid))[0, 0]
        assert padded[1].tolist() == row
        assert padded[0].abs().max() == padded[-1].abs().max() == 0
    nodes = box(3, Centring.NODE)
    assert pad(v[:, :, 0], 1, ends_of(nodes))[0, 0].tolist() == [1.0, 0.0, 1.0, 2.0, 1.0]
    on_samples = ends_of(box(3, Centring.CELL), on_samples=True)
    assert pad(v[:, :, 0], 1, on_samples)[0, 0].tolist() == [1.0, 0.0, 1.0, 2.0, 1.0]
