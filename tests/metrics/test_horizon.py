"""How long a rollout can be trusted."""

import math

import torch

from duhamel.metrics import geometric_mean, horizon


def test_horizon_of_exponential_growth() -> None:
    rates = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    steps = torch.arange(1, 41, dtype=torch.float64)
    error = 1e-3 * torch.exp(rates[:, None] * steps)
    expected = torch.floor(math.log(0.2 / 1e-3) / rates)
    assert horizon(error, 0.2).tolist() == expected.tolist()


def test_horizon_counts_until_the_first_time_only() -> None:
    error = torch.tensor([[0.1, 0.9, 0.1, 0.1], [0.9, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.9], [0.2, 0.2, 0.2, 0.2]])
    assert horizon(error, 0.2).tolist() == [1.0, 0.0, 3.0, 4.0]


def test_not_finite_errors_end_the_horizon() -> None:
    error = torch.tensor([[0.1, torch.nan, 0.1], [0.1, torch.inf, 0.1], [torch.nan, 0.1, 0.1]])
    assert horizon(error, 0.2).tolist() == [1.0, 1.0, 0.0]


def test_geometric_mean_of_a_geometric_series() -> None:
    series = 2.0 ** torch.arange(7, dtype=torch.float64)
    assert abs(float(geometric_mean(series)) - 2.0**3) < 1e-14
    assert float(geometric_mean(torch.tensor([0.0, 1.0]))) == 0.0
