"""Advection is solved exactly."""

import math

import pytest
import torch
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, Parameters, rollout
from duhamel.pdes import Advection
from duhamel.solvers import estimated_error, reference_solver, reference_trajectory

PDE = Advection()


def wave(grid: Grid, shift: Tensor) -> Tensor:
    x = 2 * math.pi * (grid.coordinates()[0] - shift[:, None])
    return torch.exp(torch.sin(x)).unsqueeze(1)


@pytest.mark.parametrize("centring", Centring)
@pytest.mark.parametrize("n", [48, 51])
def test_the_wave_is_moved_exactly(n: int, centring: Centring) -> None:
    grid = Grid(shape=(n,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=centring)
    speed = torch.tensor([0.3, -1.7, 0.0], dtype=torch.float64)
    params = Parameters(speed.unsqueeze(1), torch.zeros(3, 0, n, dtype=torch.float64))
    dt, n_steps = 0.37, 20
    u = rollout(reference_solver(PDE, grid, dt), wave(grid, torch.zeros_like(speed)), params, n_steps)
    assert (u[:, -1] - wave(grid, speed * dt * n_steps)).abs().max() < 1e-12


def test_default_samples_and_their_invariants(generator: torch.Generator) -> None:
    grid = PDE.grid((64,))
    u0, params = PDE.sample_initial(grid, 5, generator), PDE.sample_params(grid, 5, generator)
    u = reference_trajectory(PDE, u0, params, grid, 0.05, 20)
    for name, values in PDE.invariants(u, grid).items():
        assert values.shape == (5, 21)
        assert (values - values[:, :1]).abs().max() < 1e-12, name
    assert estimated_error(PDE, u0, params, grid, 0.05, 20, refine=1, substeps=1).max() < 1e-12


def test_gradients_to_state_and_speed() -> None:
    grid = PDE.grid((9,))
    u0 = wave(grid, torch.zeros(1, dtype=torch.float64)).requires_grad_()
    speed = torch.tensor([[0.4]], dtype=torch.float64, requires_grad=True)
    fields = torch.zeros(1, 0, 9, dtype=torch.float64)
    solver = reference_solver(PDE, grid, 0.2)
    assert torch.autograd.gradcheck(lambda u, c: rollout(solver, u, Parameters(c, fields), 3), (u0, speed))


def test_float32_follows_the_state() -> None:
    grid = PDE.grid((64,))
    u0 = wave(grid, torch.zeros(1, dtype=torch.float64)).float()
    params = Parameters(torch.full((1, 1), 0.25), torch.zeros(1, 0, 64))
    u = reference_solver(PDE, grid, 1.0)(u0, params)
    assert u.dtype is torch.float32
    torch.testing.assert_close(u, u0.roll(16, -1), atol=2e-6, rtol=0)
