"""neuraloperator's FNO as one of our operators."""

from pathlib import Path

import pytest
import torch

import duhamel
from duhamel.fields import Parameters
from duhamel.operators import NeuralopFNO, Normaliser, Surrogate
from duhamel.operators.card import trained_range
from tests.operators.problems import line, line_statistics, plane


def test_it_answers_as_the_model_itself_does(generator):
    operator = NeuralopFNO(plane(), n_modes=4, hidden_channels=4, n_layers=1)
    u, a = torch.randn(2, 1, 12, 12, generator=generator), torch.randn(2, 1, 12, 12, generator=generator)
    answer = operator(u, Parameters(torch.zeros(2, 0), a))
    torch.testing.assert_close(answer, operator.model(torch.cat([u, a], dim=1)), rtol=0, atol=0)


def test_it_is_equivariant_without_its_embedding_alone(generator):
    u, params = torch.randn(1, 1, 32, generator=generator), Parameters(torch.ones(1, 1), torch.zeros(1, 0, 32))

    def defect(embedding):
        operator = NeuralopFNO(line(), n_modes=8, hidden_channels=4, positional_embedding=embedding)
        return (operator(u.roll(3, 2), params) - operator(u, params).roll(3, 2)).abs().max().item()

    assert defect(None) < 1e-5
    assert defect("grid") > 1e-4


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_saves_and_loads_without_its_metadata(tmp_path: Path, generator):
    statistics = line_statistics()
    surrogate = Surrogate(
        NeuralopFNO(line(), n_modes=8, hidden_channels=4),
        Normaliser.fitted(line(), statistics),
        trained_range=trained_range(line(), statistics),
    )
    assert all(isinstance(value, torch.Tensor) for value in surrogate.state_dict().values())
    surrogate.save(tmp_path / "s.safetensors")
    u, params = torch.randn(1, 1, 32, generator=generator), Parameters(torch.full((1, 1), 0.01), torch.zeros(1, 0, 32))
    assert torch.equal(duhamel.load(tmp_path / "s.safetensors")(u, params), surrogate(u, params))
