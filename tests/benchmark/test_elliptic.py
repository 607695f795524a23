"""The benchmark of elliptic solvers compares answers that agree."""

import pytest
import torch

from duhamel.benchmark.elliptic import FAMILIES, costs, distance, main, refined
from duhamel.benchmark.rivals import scikit_fem
from duhamel.pdes import Darcy


@pytest.mark.parametrize("family", FAMILIES)
def test_all_solvers_answer_alike(family: str, generator: torch.Generator) -> None:
    a = FAMILIES[family].sample(Darcy().grid((16, 16)), 2, generator)
    direct, *iterative = (cost for cost in costs(a, 2) if "pyamg" not in cost.solver)
    assert direct.solver == "direct" and direct.distance == 0 and direct.iterations == 0
    for cost in iterative:
        assert len(cost.milliseconds) == 2 and cost.iterations > 0
        assert cost.distance < 1e-6


def test_errors_are_of_second_order_where_the_coefficient_is_smooth() -> None:
    errors = [costs(torch.ones(1, n, n, dtype=torch.float64), 1)[0].error for n in (16, 32)]
    assert 3.7 < errors[0] / errors[1] < 4.3


def test_scikit_fem_solves_the_same_problem() -> None:
    pytest.importorskip("pyamg", reason="an optional rival")
    errors = []
    for n in (16, 32):
        x = (torch.arange(n) + 0.5).double() / n
        a = (1 + 0.5 * torch.sin(3 * x[:, None]) * torch.cos(2 * x)).unsqueeze(0)
        errors.append(distance(scikit_fem((n, n), 1e-10)(a), refined(a)))
    assert errors[1] < 3e-3 and 3.7 < errors[0] / errors[1] < 4.3


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--sizes", "8", "--batch-size", "1", "--repeats", "1"])
    assert "multigrid" in capsys.readouterr().out
