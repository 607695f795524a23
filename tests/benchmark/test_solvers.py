"""The comparison of solvers at equal error."""

import math

import pytest

from duhamel.benchmark.solver_cases import CASES, SolverCase
from duhamel.benchmark.solvers import Point, compare, seconds_at
from duhamel.pdes import FisherKPP


def absent(u0, n_steps):
    raise ImportError("no such library", name="absent")


def test_seconds_are_interpolated_at_equal_error() -> None:
    """A method of order 4 whose cost is its number of steps: a tenth of the error costs 10^(1/4) as much."""
    curve = [Point(n, n**-4.0, float(n)) for n in (10, 20, 40)]
    assert seconds_at(curve, 10**-4.5) == pytest.approx(10 ** (4.5 / 4))
    assert seconds_at(curve, 1.0) == 10.0, "the cheapest point is already better"
    assert seconds_at(curve, 1e-9) == math.inf, "an error that was not reached has no price"


def test_our_curve_falls_and_a_missing_library_is_named() -> None:
    case = SolverCase(FisherKPP(), (64,), 0.5, (1e-2, 1.0), (2, 4, 8), 64, {"absent": absent, "itself": ours_again})
    curves, missing = compare(case, 2, 1)
    assert missing == {"absent": "not installed (absent)"}
    errors = [p.error for p in curves["duhamel"]]
    assert errors[0] > 10 * errors[1] > 100 * errors[2] > 0
    assert [p.error for p in curves["itself"]] == errors


def ours_again(u0, n_steps):
    return SolverCase(FisherKPP(), (64,), 0.5, (1e-2, 1.0), (), 1, {}).ours(u0, n_steps)


def test_every_case_fits_its_equation() -> None:
    for case in CASES:
        assert case.initial(2).shape == (2, len(case.pde.channels), *case.shape)
        assert len(case.values) == len(case.pde.scalars)
