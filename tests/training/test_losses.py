"""Losses against their definitions."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid
from duhamel.training.losses import NormalisedMSE, RelativeH1, RelativeL2

GRID = Grid(shape=(64,), extent=(2 * math.pi,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
X = GRID.coordinates()[0]


def states(*functions):
    return torch.stack([torch.stack([f(X)[None] for _ in range(3)]) for f in functions])


def test_relative_l2_averages_samples_not_squares():
    target = states(torch.sin, torch.cos)
    prediction = torch.stack([1.1 * target[0], 0.7 * target[1]])
    assert RelativeL2()(prediction, target, GRID).item() == pytest.approx((0.1 + 0.3) / 2, rel=1e-6)


def test_a_sample_at_rest_does_not_divide_by_nothing():
    target = torch.zeros(1, 2, 1, 64)
    assert RelativeL2(floor=0.5)(target + 1.0, target, GRID).item() == pytest.approx(2.0)


def test_h1_weighs_a_wave_by_its_gradient():
    """Error eps sin(8x) on sin(x): ||.||_H1^2 is proportional to 1 + k^2."""
    target = states(torch.sin)
    prediction = target + 0.01 * torch.sin(8 * X)
    expected = 0.01 * math.sqrt((1 + 64) / (1 + 1))
    assert RelativeH1()(prediction, target, GRID).item() == pytest.approx(expected, rel=1e-5)


def test_normalised_mse():
    target = states(torch.sin)
    assert NormalisedMSE()(target + 0.2, target, GRID).item() == pytest.approx(0.04, rel=1e-5)


@pytest.mark.parametrize("loss", [RelativeL2(), RelativeH1(), NormalisedMSE()], ids=lambda x: type(x).__name__)
def test_low_precision_predictions_are_compared_in_float32(loss):
    target = states(torch.sin).float()
    assert loss(target.bfloat16(), target, GRID).dtype is torch.float32
