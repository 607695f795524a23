"""Encoding and decoding, and what they refuse."""

import math
from dataclasses import replace

import pytest
import torch

from duhamel.fields import Parameters
from duhamel.operators import Normaliser, Persistence, Surrogate
from tests.operators.problems import line, line_statistics, moments, plane, plane_statistics


def fitted(**kwargs):
    return Normaliser.fitted(line(), line_statistics(), **kwargs).double()


def test_training_data_become_standard_and_come_back(generator):
    u = 2.0 + 3.0 * torch.randn(4, 6, 32, generator=generator)  # the states of line_statistics
    statistics = line_statistics()
    normaliser = Normaliser.fitted(line(), statistics)
    z = normaliser.encode(u.reshape(-1, 1, 32))
    assert abs(z.mean().item()) < 1e-6
    assert z.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(normaliser.decode(z), u.reshape(-1, 1, 32))


def test_parameters_over_decades_are_encoded_by_their_logarithm():
    normaliser = fitted()
    viscosity = torch.tensor([[1e-3], [1e-2], [1e-1]], dtype=torch.float64)
    encoded = normaliser.encode_parameters(Parameters(viscosity, torch.zeros(3, 0, 32, dtype=torch.float64))).scalars
    expected = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)[:, None] / math.sqrt(2 / 3)
    torch.testing.assert_close(encoded, expected, rtol=1e-6, atol=1e-6)


def test_logarithms_are_refused_where_there_is_none():
    with pytest.raises(ValueError, match="velocity cannot be scaled by its logarithm: its least value"):
        fitted(log=["velocity"])
    with pytest.raises(ValueError, match=r"\['nu'\]; the data hold \['velocity', 'viscosity'\]"):
        fitted(log=["nu"])
    with pytest.raises(ValueError, match=r"\['pressure'\] of a stationary problem cannot be scaled by its logarithm"):
        Normaliser.fitted(plane(), plane_statistics(), log=["pressure"])


def test_a_unit_output_is_one_root_mean_square_increment():
    statistics = line_statistics()
    normaliser = fitted()
    z = torch.zeros(1, 1, 32, dtype=torch.float64)
    step = normaliser.decode(normaliser.advance(z, torch.ones_like(z))) - normaliser.decode(z)
    rms = math.sqrt(statistics.increments.mean.item() ** 2 + statistics.increments.std.item() ** 2)
    assert step.mean().item() == pytest.approx(rms, rel=1e-6)


def test_a_stationary_problem_answers_with_the_normalised_solution():
    statistics = plane_statistics()
    surrogate = Surrogate(
        Persistence(plane()), Normaliser.fitted(plane(), statistics), trained_range={"pressure": (0.0, 1.0)}
    )
    params = Parameters(torch.zeros(1, 0), torch.ones(1, 1, 12, 12))
    answer = surrogate(torch.zeros(1, 1, 12, 12), params)
    torch.testing.assert_close(answer, torch.full_like(answer, statistics.increments.mean.item()))


def test_a_parameter_that_never_varies_is_shifted_only():
    statistics = replace(line_statistics(), scalars=moments(torch.full((5,), 0.01)))
    normaliser = Normaliser.fitted(line(), statistics)
    encoded = normaliser.encode_parameters(Parameters(torch.tensor([[0.01]]), torch.zeros(1, 0, 32))).scalars
    assert abs(encoded.item()) < 1e-6


def test_a_channel_at_rest_is_refused():
    with pytest.raises(ValueError, match=r"\['velocity'\] never change"):
        Normaliser.fitted(line(), replace(line_statistics(), increments=moments(torch.zeros(10))))
