"""Every solver of an evolution shows the order that it states."""

import pytest

from duhamel.benchmark.order_cases import CASES, OrderCase
from duhamel.benchmark.orders import main

# Errors at the finest size, with at least three times the slack of what was measured.
BOUNDS = {"burgers": 1e-10, "kdv": 5e-7, "navier_stokes": 1e-7, "nonlinear_schroedinger": 1e-6}
EVOLUTIONS = [case for case in CASES if case.unit == "steps"]


@pytest.mark.parametrize("case", EVOLUTIONS, ids=lambda case: f"{case.equation}-{case.solver}")
def test_observed_order(case: OrderCase) -> None:
    errors = case.errors()
    observed = case.observed(errors)
    assert observed[-1] > case.order - 0.3, (errors, observed)
    assert observed[-1] < case.order + 1.0, f"an order above the stated one is no accident: {errors}, {observed}"
    assert errors[-1] < BOUNDS.get(case.equation, 1e-4), errors


def test_the_table_is_printed_and_unknown_equations_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["burgers"]) == 0
    printed = capsys.readouterr().out
    assert "ETDRK4" in printed and "Cole and Hopf" in printed and "kdv" not in printed
    with pytest.raises(ValueError, match="no order is measured of typo"):
        main(["typo"])
