"""Horizons over a training."""

import pytest
import torch

from duhamel.training.curriculum import FullRollout, Linear, LossGated, OneStep, Staged, Tanh
from duhamel.training.schedules import staircase

SCHEDULES = [
    OneStep(),
    FullRollout(),
    Linear(start=0.1, end=0.7),
    Staged([1, 3, None], until=[0.2, 0.6, 1.0]),
    Tanh(),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_horizons_never_shrink_and_stay_in_the_window(schedule):
    for n_steps in (1, 2, 7, 40):
        horizons = [schedule.horizon(p / 200, n_steps) for p in range(201)]
        assert horizons == sorted(horizons)
        assert min(horizons) >= 1
        assert max(horizons) <= n_steps


def test_capes_schedule_has_the_published_values():
    """E = 100 epochs, W = 3, T = 41 states: tau at epochs 20, 30, 40, 51, 60, 70, 80, 90."""
    tanh = Tanh(width=0.2, warmup=0.03)
    assert [tanh.horizon(e / 100, 40) for e in (20, 30, 40, 51, 60, 70, 80, 90)] == [1, 4, 9, 19, 28, 35, 38, 40]


def test_a_gated_horizon_waits_for_the_loss_and_then_for_patience():
    gated = LossGated(threshold=0.1, patience=3, start=0.2)
    gated.horizon(0.1, 16)
    gated.observe(0.01)  # before `start`: single steps whatever the loss
    assert gated.horizon(0.3, 16) == 1
    gated.observe(0.5)
    assert gated.horizon(0.3, 16) == 1
    gated.observe(0.05)
    assert gated.horizon(0.3, 16) == 2
    for loss in (0.5, 0.5):
        gated.observe(loss)
    assert gated.horizon(0.4, 16) == 2
    gated.observe(0.5)
    assert gated.horizon(0.4, 16) == 4
    assert gated.horizon(0.4, 3) == 3


def test_a_gated_horizon_resumes_where_it_was():
    gated, resumed = (LossGated(threshold=0.1, patience=2) for _ in range(2))
    for loss in (0.05, 0.5):
        gated.observe(loss)
    resumed.load_state_dict(gated.state_dict())
    for curriculum in (gated, resumed):
        curriculum.observe(0.5)
    assert resumed.horizon(0.5, 64) == gated.horizon(0.5, 64) == 4


def test_a_staircase_halves_the_rate_after_equal_parts():
    """CAPE's: by one half every 20 of 100 epochs."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-3)
    scheduler = staircase(optimizer, 100, n_stages=5)
    rates = []
    for _ in range(100):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert rates == [3e-3 / 2 ** (step // 20) for step in range(100)]


def test_wrong_schedules_are_refused():
    with pytest.raises(ValueError, match="ascending ends"):
        Staged([1, 2], until=[0.5, 0.9])
    with pytest.raises(ValueError, match="ordered shares"):
        Linear(start=0.5, end=0.2)
    with pytest.raises(ValueError, match="has no state"):
        OneStep().load_state_dict({"limit": 3})
