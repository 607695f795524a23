"""States between grids: whatever the ratio of their spacings, they stand for the same function, or are refused."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid
from duhamel.pdes import Burgers, Darcy
from duhamel.solvers import CellMeans, PointValues
from duhamel.solvers.refinement import relative_distance


@pytest.mark.parametrize("n", [48, 40, 32, 16])
def test_point_values_on_fewer_nodes_are_those_of_the_function(n) -> None:
    fine, grid = Burgers().grid((64,)), Burgers().grid((n,))

    def wave(grid: Grid) -> torch.Tensor:
        return torch.sin(2 * math.pi * grid.coordinates()[0])[None, None]

    torch.testing.assert_close(PointValues().restrict(wave(fine), fine, grid), wave(grid), atol=1e-13, rtol=0)


def test_cells_that_do_not_divide_are_refused() -> None:
    fine, grid = Darcy().grid((12, 12)), Darcy().grid((8, 8))
    u = torch.ones(1, 1, 12, 12)
    with pytest.raises(ValueError, match=r"\(12, 12\) do not divide those of shape \(8, 8\)"):
        CellMeans().restrict(u, fine, grid)
    with pytest.raises(ValueError, match="do not divide"):
        CellMeans().prolong(u[..., :8, :8], grid, fine)
    nodes = Grid(shape=(6,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    with pytest.raises(ValueError, match="do not divide"):
        CellMeans().restrict(u[..., :6], nodes, nodes.with_shape((4,)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_distance_from_zero_is_absolute(dtype) -> None:
    zero = torch.zeros(2, 2, 1, 4, dtype=dtype)
    u = zero.clone()
    u[1, 1] = 3.0
    torch.testing.assert_close(relative_distance(u, zero), torch.tensor([0.0, 6.0], dtype=dtype))
