"""Losses against their definitions."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid
from duhamel.metrics import sobolev
from duhamel.metrics.gradients import sobolev_energy
from duhamel.training.losses import NormalisedMSE, RelativeL2, RelativeSobolev

GRID = Grid(shape=(64,), extent=(2 * math.pi,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
X = GRID.coordinates()[0]
BOUNDED = (Boundary.PERIODIC, Boundary.NEUMANN)


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
    assert RelativeSobolev()(prediction, target, GRID).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_the_sobolev_norm_of_order_s_weighs_a_wave_by_its_power(order):
    """eps sin(8 x) on sin(x): ||.||_s^2 is proportional to (1 + k^2)^s; of order 0 it is the relative L2 error."""
    target = states(torch.sin).double()
    prediction = target + 0.01 * torch.sin(8 * X)
    expected = 0.01 * ((1 + 64) / (1 + 1)) ** (order / 2)
    assert sobolev(prediction, target, GRID, order=order).tolist() == pytest.approx([expected], rel=1e-9)
    assert RelativeSobolev(order=order)(prediction, target, GRID).item() == pytest.approx(expected, rel=1e-3)


def test_the_sobolev_norm_counts_mixed_derivatives_and_differences_converge_to_it():
    """sin(x) cos(2 y): (1 + 1 + 4)^2 at order two, whichever axes are periodic; differences at order two."""
    ratios = []
    for n, kinds in ((32, (Boundary.PERIODIC,) * 2), (32, BOUNDED), (64, BOUNDED), (128, BOUNDED)):
        grid = Grid(shape=(16, n), extent=(2 * math.pi,) * 2, boundary=kinds, centring=Centring.NODE)
        x, y = grid.mesh()
        u = (torch.sin(x) * torch.cos(2 * y))[None, None, None]
        ratios.append(float(sobolev_energy(u, grid, order=2) / sobolev_energy(u, grid, order=0)) / 36)
    assert ratios[0] == pytest.approx(1, rel=1e-12)
    errors = [abs(ratio - 1) for ratio in ratios[1:]]
    assert errors[0] < 0.2 and errors[1] < errors[0] / 1.9 and errors[2] < errors[1] / 1.9, errors


def test_normalised_mse():
    target = states(torch.sin)
    assert NormalisedMSE()(target + 0.2, target, GRID).item() == pytest.approx(0.04, rel=1e-5)


@pytest.mark.parametrize("loss", [RelativeL2(), RelativeSobolev(), NormalisedMSE()], ids=lambda x: type(x).__name__)
def test_low_precision_predictions_are_compared_in_float32(loss):
    target = states(torch.sin).float()
    assert loss(target.bfloat16(), target, GRID).dtype is torch.float32


@pytest.mark.parametrize("loss", [RelativeL2(), RelativeSobolev(), NormalisedMSE()], ids=lambda x: type(x).__name__)
def test_double_precision_is_kept(loss):
    """An error of 1e-9 is no number in float32 beside 1."""
    target = states(torch.cos) + 2
    exact = loss((1 + 1e-9) * target, target, GRID)
    assert exact.dtype is torch.float64
    assert exact.item() == pytest.approx(
        1e-18 * target.square().mean().item() if "MSE" in str(loss) else 1e-9, rel=1e-5
    )
