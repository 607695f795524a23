"""Repeated propagation, and the containers it moves."""

import pytest
import torch
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, Parameters, Trajectory, first_non_finite_step, rollout


def parameters(batch: int, n: int) -> Parameters:
    scalars = torch.arange(1.0, batch + 1, dtype=torch.float64).unsqueeze(1) / 10
    return Parameters(scalars, torch.zeros(batch, 0, n, dtype=torch.float64))


def decay(u: Tensor, params: Parameters) -> Tensor:
    return u - params.scalars.unsqueeze(2) * u**2


def test_states_are_powers_of_the_propagator(generator: torch.Generator) -> None:
    params = parameters(3, 5)
    u0 = torch.rand(3, 1, 5, dtype=torch.float64, generator=generator)
    u = rollout(decay, u0, params, 4, include_initial=True)
    assert u.shape == (3, 5, 1, 5)
    torch.testing.assert_close(u[:, 0], u0)
    torch.testing.assert_close(u[:, 3], decay(decay(decay(u0, params), params), params))
    torch.testing.assert_close(rollout(decay, u0, params, 4), u[:, 1:])
    with pytest.raises(ValueError, match="at least one step"):
        rollout(decay, u0, params, 0)


def test_checkpointing_changes_no_gradient(generator: torch.Generator) -> None:
    params = parameters(2, 5)
    gradients = []
    u0 = torch.rand(2, 1, 5, dtype=torch.float64, generator=generator)
    for checkpoint in (False, True):
        leaf = u0.clone().requires_grad_()
        rollout(decay, leaf, params, 6, checkpoint=checkpoint).square().sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(gradients[0], gradients[1], atol=0, rtol=0)


def test_first_step_that_is_not_finite() -> None:
    u = torch.zeros(2, 5, 1, 3)
    assert first_non_finite_step(u) is None
    u[1, 3, 0, 2] = torch.nan
    u[0, 4, 0, 0] = torch.inf
    assert first_non_finite_step(u) == 3


def test_parameters_follow_their_samples() -> None:
    params = parameters(3, 4)
    repeated = params.repeat_interleave(2)
    torch.testing.assert_close(repeated.scalars[:, 0] * 10, torch.tensor([1.0, 1, 2, 2, 3, 3], dtype=torch.float64))
    torch.testing.assert_close(params[1:].scalars, params.scalars[1:])
    assert params.to(torch.float32).scalars.dtype is torch.float32
    none = Parameters.none(2, (4, 4))
    assert none.scalars.shape == (2, 0) and none.fields.shape == (2, 0, 4, 4)


def test_a_trajectory_lies_on_its_grid() -> None:
    grid = Grid(shape=(4,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    trajectory = Trajectory(torch.zeros(1, 6, 1, 4), Parameters.none(1, (4,)), grid, 0.1)
    assert trajectory.n_steps == 5
    assert trajectory.to(torch.float64).u.dtype is torch.float64
    with pytest.raises(ValueError, match="do not lie on a grid"):
        Trajectory(torch.zeros(1, 6, 1, 5), Parameters.none(1, (5,)), grid, 0.1)
