"""The spectral neural operator: resolutions, periodic shifts, the size of its output."""

import math
from dataclasses import replace

import pytest
import torch

from duhamel.fields import Boundary, Centring, Parameters
from duhamel.operators import SNO
from duhamel.operators.sno import functions
from tests.operators.problems import line, plane


def test_one_function_at_every_resolution(generator) -> None:
    """Band-limited input, sampled by 12, 24 and 36 points: the same coefficients, so the same output function."""
    coefficients = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    model = SNO(plane(), n_modes=6, n_modes_out=5, width=16, n_layers=2).double()
    points = []
    for n in (12, 36):
        grid = plane(n).grid
        cosines = [functions(grid, axis, 4, Boundary.NEUMANN) for axis in range(2)]
        field = torch.einsum("pq,pi,qj->ij", coefficients, *cosines)[None, None]
        out = model.on(grid)(torch.zeros_like(field), Parameters(torch.zeros(1, 0).double(), field))
        points.append(out)
    # Every third cell of the finer grid has the coarse one's centre.
    torch.testing.assert_close(points[0], points[1][..., 1::3, 1::3], atol=1e-12, rtol=0)


def test_every_second_cell_of_a_circle_gives_every_second_value(generator) -> None:
    """Samples keep their positions, half a coarse cell off the middle of theirs."""
    problem = line(32)
    problem = replace(problem, grid=replace(problem.grid, centring=Centring.CELL))
    model = SNO(problem, n_modes=8, n_modes_out=9, width=16, n_layers=2).double()
    strided, (x,) = problem.grid.strided(2), problem.grid.coordinates()
    u = (torch.sin(2 * math.pi * x) + torch.cos(6 * math.pi * x))[None, None]
    params = Parameters.none(1, (32,), dtype=torch.float64)
    params = replace(params, scalars=torch.ones(1, 1, dtype=torch.float64))
    coarse = model.on(strided)(u[..., ::2], replace(params, fields=params.fields[..., ::2]))
    torch.testing.assert_close(coarse, model(u, params)[..., ::2], atol=1e-12, rtol=0)


@pytest.mark.parametrize("boundary", [Boundary.DIRICHLET, Boundary.NEUMANN])
def test_functions_are_orthonormal_as_means_over_cells(boundary) -> None:
    table = functions(plane(12).grid, 0, 8, boundary)
    torch.testing.assert_close(table @ table.T / 12, torch.eye(8, dtype=torch.float64), atol=1e-12, rtol=0)


def test_waves_of_a_circle_are_orthonormal() -> None:
    table = functions(line(32).grid, 0, 9, Boundary.PERIODIC)
    torch.testing.assert_close(table @ table.T / 32, torch.eye(9, dtype=torch.float64), atol=1e-12, rtol=0)


def test_the_output_scales_by_its_gain(generator) -> None:
    problem = line()
    model = SNO(problem, n_modes=8, n_modes_out=9, width=16, n_layers=2).double()
    u = torch.randn(2, 1, 32, generator=generator, dtype=torch.float64)
    params = Parameters(torch.randn(2, 1, generator=generator).double(), torch.zeros(2, 0, 32).double())
    before = model(u, params)
    with torch.no_grad():
        model.gain.bias += math.log(3.0)
    torch.testing.assert_close(model(u, params), 3 * before)
    for name, tensor in model.named_parameters():
        (grad,) = torch.autograd.grad(model(u, params).square().sum(), tensor)
        assert grad.abs().max() > 0, name


def test_what_samples_cannot_carry_is_refused() -> None:
    with pytest.raises(ValueError, match="must be cell-centred, got dirichlet at nodes"):
        SNO(line(boundary=Boundary.DIRICHLET))
    with pytest.raises(ValueError, match="16 functions of axis 0, which has 12 points"):
        functions(plane(12).grid, 0, 16, Boundary.DIRICHLET)
