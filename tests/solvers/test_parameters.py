"""Parameters that the physics does not allow are named by every solver; what is kept is kept on every grid."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid, Parameters
from duhamel.pdes import CompressibleNavierStokes, DiffusionSorption, Heat
from duhamel.pdes.base import integral
from duhamel.solvers import reference_solver


def test_finite_volumes_refuse_a_negative_viscosity(generator) -> None:
    pde = CompressibleNavierStokes(ndim=1)
    grid = pde.grid((16,))
    params = pde.sample_params(grid, 2, generator)
    params.scalars[1, 0] = -1e-3
    with pytest.raises(ValueError, match="shear_viscosity must lie in"):
        reference_solver(pde, grid, 0.01)(pde.sample_initial(grid, 2, generator), params)


def test_sorption_refuses_more_pores_than_soil(generator) -> None:
    pde = DiffusionSorption()
    grid = pde.grid((16,))
    params = pde.sample_params(grid, 2, generator)
    params.scalars[:, 1] = 2.0
    with pytest.raises(ValueError, match="porosity must lie in"):
        reference_solver(pde, grid, 1.0)(pde.sample_initial(grid, 2, generator), params)


@pytest.mark.parametrize("centring", Centring)
def test_an_insulated_rod_keeps_its_heat_on_nodes_as_on_cells(centring) -> None:
    grid = Grid(shape=(33,), extent=(1.0,), boundary=(Boundary.NEUMANN,), centring=centring)
    pde = Heat(boundary="neumann")
    u = (1 + torch.cos(2 * math.pi * grid.coordinates()[0]))[None, None]
    params = Parameters(torch.tensor([[0.05]], dtype=torch.float64), torch.zeros(1, 0, 33, dtype=torch.float64))
    later = reference_solver(pde, grid, 1.0)(u, params)
    for state in (u, later):
        torch.testing.assert_close(pde.invariants(state, grid)["heat"], torch.ones(1, dtype=torch.float64))


def test_the_integral_of_a_plane_over_nodes_is_exact() -> None:
    """Ends count half along the axis that has them, whole along the periodic one."""
    grid = Grid(shape=(5, 4), extent=(2.0, 3.0), boundary=(Boundary.WALL, Boundary.PERIODIC), centring=Centring.NODE)
    x, _ = grid.mesh()
    torch.testing.assert_close(integral((1 + x)[None], grid), torch.tensor([12.0], dtype=torch.float64))
