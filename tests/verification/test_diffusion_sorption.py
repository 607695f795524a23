"""Diffusion with sorption: orders in space and time, the linear limit, what the boundaries let in."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from duhamel.fields import Parameters, rollout
from duhamel.pdes import DiffusionSorption, Uniform
from duhamel.solvers import SuperTimeStepping, reference_solver
from duhamel.solvers.diffusion_sorption import stages

PDE = DiffusionSorption()


def solve(n: int, substeps: int, t: float = 50.0, pde: DiffusionSorption = PDE) -> Tensor:
    grid = pde.grid((n,))
    params = pde.sample_params(grid, 1, torch.Generator())
    x = grid.coordinates()[0]
    # Smooth, and with the boundary's values, so that nothing but the scheme limits the order.
    u0 = (0.1 + 0.9 * torch.exp(-x / 0.1) * (1 + x / 0.1)).reshape(1, 1, -1)
    return reference_solver(pde, grid, t, substeps=substeps)(u0, params)


def test_second_order_in_space() -> None:
    truth = solve(512, 16)
    errors = [float((solve(n, 16) - truth.unflatten(-1, (n, -1)).mean(dim=-1)).norm()) / n**0.5 for n in (32, 64, 128)]
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert min(orders) > 1.8, (errors, orders)


def test_second_order_in_time() -> None:
    truth = solve(64, 256)
    errors = [float((solve(64, substeps) - truth).norm()) for substeps in (4, 8, 16, 32)]
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert min(orders) > 1.8, (errors, orders)


def test_without_sorption_it_is_the_heat_equation() -> None:
    """Eigenfunctions of zero at 0 and u = -D u_x at 1: sin(k x) with tan(k) = -D k."""
    pde = DiffusionSorption(
        diffusivity=Uniform(0.5, 0.5), freundlich_coefficient=Uniform(0.0, 0.0), boundary_value=Uniform(0.0, 0.0)
    )
    k = 2.0
    for _ in range(60):
        k = math.pi - math.atan(0.5 * k)
    grid = pde.grid((128,))
    params = pde.sample_params(grid, 1, torch.Generator())
    wave = torch.sin(k * grid.coordinates()[0]).reshape(1, 1, -1)
    u = reference_solver(pde, grid, 0.2, substeps=16)(wave, params)
    torch.testing.assert_close(u, math.exp(-0.5 * k**2 * 0.2) * wave, atol=2e-4, rtol=0)


def test_the_stages_are_stable_to_their_bound(generator: torch.Generator) -> None:
    """For u_t = -r u, r up to the spectral radius, a step of any length shrinks u."""

    def decay(u: Tensor, params: Parameters, grid: object) -> Tensor:
        return -params.scalars[:, :1, None] * u

    grid = PDE.grid((2,))
    rates = torch.linspace(0, 1000, 400, dtype=torch.float64).unsqueeze(1)
    params = Parameters(rates, torch.zeros(400, 0, 2))
    for dt in (0.01, 0.1, 1.0):
        solver = SuperTimeStepping(grid, dt, tendency=decay, spectral_radius=lambda grid, params: 1000.0)
        u = solver(torch.ones(400, 1, 2, dtype=torch.float64), params)
        assert u.abs().max() <= 1 + 1e-12
    assert stages(1000.0) == 45 and (45**2 + 43) / 2 >= 1000


def test_concentrations_rise_from_the_left_and_stay_in_bounds(generator: torch.Generator) -> None:
    grid = PDE.grid((64,))
    u0, params = PDE.sample_initial(grid, 4, generator), PDE.sample_params(grid, 4, generator)
    u = rollout(reference_solver(PDE, grid, 5.0, substeps=4), u0, params, 20)
    assert (u[..., 0] > u0[:, None, :, 0]).all() and u.min() > 0 and u.max() < 1
    assert (torch.diff(u, dim=-1) <= 1e-9).all()


def test_gradcheck(generator: torch.Generator) -> None:
    grid = PDE.grid((6,))
    solver = reference_solver(PDE, grid, 5.0)
    params = PDE.sample_params(grid, 1, generator)
    u0 = (0.1 + torch.rand(1, 1, 6, dtype=torch.float64, generator=generator)).requires_grad_()
    assert torch.autograd.gradcheck(lambda u: solver(u, params), u0)


def test_other_grids_are_refused() -> None:
    with pytest.raises(ValueError, match="one open axis of cells"):
        PDE.grid((4, 4))
