"""The benchmark of elliptic solvers compares answers that agree."""

import pytest
import torch

from duhamel.benchmark.elliptic import FAMILIES, costs, main
from duhamel.pdes import Darcy


@pytest.mark.parametrize("family", FAMILIES)
def test_all_solvers_answer_alike(family: str, generator: torch.Generator) -> None:
    a = FAMILIES[family].sample(Darcy().grid((16, 16)), 2, generator)
    direct, *iterative = costs(a, 2)
    assert direct.solver == "direct" and direct.distance == 0 and direct.iterations == 0
    for cost in iterative:
        assert len(cost.milliseconds) == 2 and cost.iterations > 0
        assert cost.distance < 1e-6


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--sizes", "8", "--batch-size", "1", "--repeats", "1"])
    assert "multigrid" in capsys.readouterr().out
