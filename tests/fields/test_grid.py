"""Where samples lie."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duhamel.fields import Boundary, Centring, Grid, Problem, Quantity

# The run-time type checker picks the tuple entries that it checks by `random`.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    ndim = draw(st.integers(1, 3))
    return Grid(
        shape=tuple(draw(st.lists(st.integers(2, 9), min_size=ndim, max_size=ndim))),
        extent=tuple(draw(st.lists(st.floats(0.1, 9), min_size=ndim, max_size=ndim))),
        boundary=tuple(draw(st.lists(st.sampled_from(Boundary), min_size=ndim, max_size=ndim))),
        centring=draw(st.sampled_from(Centring)),
        origin=tuple(draw(st.lists(st.floats(-2, 2), min_size=ndim, max_size=ndim))),
    )


@settings(deadline=None)
@given(grids())
def test_samples_fill_the_domain_evenly(grid: Grid) -> None:
    for x, h, n_intervals, left, side, periodic in zip(
        grid.coordinates(), grid.spacing, grid.intervals, grid.origin, grid.extent, grid.periodic, strict=True
    ):
        assert n_intervals * h == pytest.approx(side)
        torch.testing.assert_close(torch.diff(x), torch.full((len(x) - 1,), h, dtype=torch.float64))
        before = float(x[0]) - left
        after = left + side - float(x[-1])
        cell = grid.centring is Centring.CELL
        assert before == pytest.approx(h / 2 if cell else 0, abs=1e-12)
        assert after == pytest.approx(h / 2 if cell else h if periodic else 0, abs=1e-9)


@settings(deadline=None)
@given(grids())
def test_dict_round_trip(grid: Grid) -> None:
    assert Grid.from_dict(grid.to_dict()) == grid
    problem = Problem(
        equation="heat",
        channels=(Quantity("temperature", "K", minimum=0.0),),
        scalars=(Quantity("diffusivity"),),
        coefficients=(),
        grid=grid,
        dt=0.1,
    )
    assert Problem.from_dict(problem.to_dict()) == problem


@pytest.mark.parametrize("centring", Centring)
@pytest.mark.parametrize("boundary", [Boundary.PERIODIC, Boundary.DIRICHLET])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_strided_samples_keep_their_positions(centring: Centring, boundary: Boundary, stride: int) -> None:
    grid = Grid(shape=(12,), extent=(3.0,), boundary=(boundary,), centring=centring, origin=(-1.0,))
    torch.testing.assert_close(grid.strided(stride).coordinates()[0], grid.coordinates()[0][::stride])
    if boundary is Boundary.PERIODIC:
        assert grid.strided(stride).extent == pytest.approx(grid.extent)


def test_mesh_is_indexed_by_axis() -> None:
    grid = Grid(shape=(3, 4), extent=(1.0, 2.0), boundary=(Boundary.OPEN,) * 2, centring=Centring.NODE)
    x, y = grid.mesh()
    assert x[:, 0].tolist() == [0.0, 0.5, 1.0]
    torch.testing.assert_close(y[0], torch.linspace(0, 2, 4, dtype=torch.float64))
    assert (x == x[:, :1]).all() and (y == y[:1]).all()


@pytest.mark.parametrize(
    ("shape", "extent"), [((1,), (1.0,)), ((4,), (0.0,)), ((4,), (float("nan"),)), ((4, 4), (1.0,)), ((), ())]
)
def test_impossible_grids_are_refused(shape: tuple[int, ...], extent: tuple[float, ...]) -> None:
    with pytest.raises(ValueError):
        Grid(shape=shape, extent=extent, boundary=(Boundary.OPEN,) * len(shape), centring=Centring.CELL)


def test_a_stride_that_breaks_the_period_is_refused() -> None:
    grid = Grid(shape=(10,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    with pytest.raises(ValueError, match="stride 4 does not divide the 10 points"):
        grid.strided(4)
    with pytest.raises(ValueError, match="a stride must be positive, got 0"):
        grid.strided(0)
    with pytest.raises(ValueError, match="the origin must be finite"):
        replace(grid, origin=(math.nan,))


def test_two_quantities_of_one_name_are_refused() -> None:
    grid = Grid(shape=(4,), extent=(1.0,), boundary=(Boundary.OPEN,), centring=Centring.CELL)
    u = Quantity("u")
    with pytest.raises(ValueError, match="must differ"):
        Problem(equation="", channels=(u,), scalars=(u,), coefficients=(), grid=grid, dt=1.0)
    with pytest.raises(ValueError, match="dt must be finite"):
        Problem(equation="", channels=(u,), scalars=(), coefficients=(), grid=grid, dt=-1.0)
