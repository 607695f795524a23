"""Orders of the finite volumes on smooth flows; importing this adds them to `order_cases.CASES`."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from duhamel.benchmark.exact_flows import becker, density_wave, vortex
from duhamel.benchmark.order_cases import OrderCase, register
from duhamel.fields import Grid, Parameters
from duhamel.pdes import Euler, ShallowWater
from duhamel.solvers import CellMeans, FiniteVolume, reference_solver


def _mean_error(u: Tensor, truth: Tensor) -> float:
    """Of the first channel, density or height, relative, in the mean (L1)."""
    return float((u - truth)[:, 0].abs().mean() / truth[:, 0].abs().mean())


def _gas(flow: Callable[[int, float], tuple[Euler, Grid, Tensor]], T: float, n: int) -> float:
    pde, grid, u0 = flow(n, 0.0)
    u = reference_solver(pde, grid, T)(u0, Parameters.none(1, grid.shape, dtype=torch.float64))
    return _mean_error(u, flow(n, T)[2])


def _shock(n: int) -> float:
    pde, grid, u0, params = becker(n)
    return _mean_error(reference_solver(pde, grid, 0.1)(u0, params), u0)


@functools.cache
def _hump(n: int) -> tuple[Grid, Tensor]:
    """Water over a smooth bed at t = 0.5, before its waves break; point values stand for means at the start."""
    pde = ShallowWater(ndim=1, boundary="periodic")
    grid = pde.grid((n,))
    x = 2 * torch.pi * grid.coordinates()[0] / pde.side
    bed = 0.2 * torch.cos(2 * x)
    u0 = torch.stack([1.0 - bed + 0.1 * torch.sin(x), 0.2 * torch.cos(x)]).unsqueeze(0)
    params = Parameters(torch.zeros(1, 0, dtype=torch.float64), bed[None, None])
    return grid, reference_solver(pde, grid, 0.5)(u0, params)


def _water(n: int) -> float:
    (grid, u), (fine, best) = _hump(n), _hump(2048)
    return _mean_error(u, CellMeans().restrict(best, fine, grid))


def _case(equation: str, against: str, sizes: tuple[int, ...], error: Callable[[int], float]) -> None:
    register(
        OrderCase(
            equation=equation, solver=FiniteVolume.__name__, against=against, unit="cells", order=FiniteVolume.order,
            sizes=sizes, error=error,
        )
    )  # fmt: skip


_case("euler", "density wave", (64, 128, 256), functools.partial(_gas, density_wave, 0.3))
_case("euler", "isentropic vortex", (32, 64, 128), functools.partial(_gas, vortex, 1.0))
_case("compressible_navier_stokes", "Becker's shock", (64, 128, 256), _shock)
_case("shallow_water", "2048 cells", (64, 128, 256), _water)
