"""The front and what is read from it: exact on power laws, honest beyond its ends."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duhamel.benchmark.comparison import BEST, Measured, compare, front_of
from duhamel.benchmark.front import Point, break_even, error_at, pareto, seconds_at
from duhamel.benchmark.result import Cost
from duhamel.benchmark.timing import Protocol, spread_out

POINTS = st.lists(
    st.tuples(st.floats(1e-9, 1.0), st.floats(1e-6, 1e3)).map(lambda x: Point(str(x), *x)), min_size=1, max_size=12
)
# Errors fall with the fourth power of the cost, as those of a scheme of order 4.
LAW = [Point(str(n), 1e-1 * n**-4.0, 1e-3 * n) for n in (1, 2, 4, 8)]


@given(POINTS)
def test_nobody_on_the_front_is_beaten_and_everybody_else_is(points):
    front = pareto(points)

    def beats(a: Point, b: Point) -> bool:
        return a.error <= b.error and a.seconds <= b.seconds and (a.error, a.seconds) != (b.error, b.seconds)

    assert not any(beats(a, b) for a in points for b in front)
    for p in points:
        assert any(beats(f, p) or (f.error, f.seconds) == (p.error, p.seconds) for f in front)
    assert [p.seconds for p in front] == sorted(p.seconds for p in front)


@pytest.mark.parametrize("n", [1.0, 1.3, 2.0, 5.0, 8.0])
def test_reading_is_exact_on_a_power_law_and_the_transpose_is_its_inverse(n):
    error, cost = 1e-1 * n**-4.0, 1e-3 * n
    reading = seconds_at(LAW, error)
    assert reading.bound == "about"
    assert reading.value == pytest.approx(cost, rel=1e-12)
    assert error_at(LAW, reading.value).value == pytest.approx(error, rel=1e-9)


def test_beyond_its_ends_the_front_gives_bounds_not_numbers():
    cheap, accurate = seconds_at(LAW, 0.5), seconds_at(LAW, 1e-9)
    assert (cheap.value, cheap.bound, cheap.between) == (1e-3, "at most", ("1",))
    assert (accurate.value, accurate.bound, accurate.between) == (8e-3, "at least", ("8",))
    assert error_at(LAW, 1e-4).bound == "at least" and error_at(LAW, 1.0).bound == "at most"
    assert seconds_at(LAW, math.nan).bound == "at least"
    with pytest.raises(ValueError, match="no front"):
        seconds_at(pareto([Point("diverged", math.inf, 1.0)]), 0.1)


def test_a_cost_that_is_never_earned_back():
    assert break_even(12.0, 3e-3, 1e-3) == pytest.approx(6000)
    assert break_even(12.0, 1e-3, 1e-3) == math.inf
    assert break_even(12.0, 1e-3, 2e-3) == math.inf


def measured(name: str, kind: str, scale: float, seconds: float, fixed: float | None = None) -> Measured:
    """Errors around `scale` over 400 samples, costs with 5 % noise over 30 repeats at batches of 1 and 8."""
    generator = np.random.default_rng(len(name))
    errors = scale * np.exp(0.3 * generator.standard_normal(400))
    costs = []
    for batch, factor in ((1, 1.0), (8, 0.25)):
        s = (factor * seconds * (1 + 0.05 * generator.random(30))).tolist()
        costs.append(Cost(batch, s, float(np.median(s)), s[0], s[1], 0.0))
    return Measured(name, kind, errors, costs, fixed)


SOLVERS = [measured(f"n{n}", "solver", 1e-1 * n**-4.0, 1e-3 * n) for n in (1, 2, 4, 8)]


def test_speed_up_at_equal_accuracy_is_that_of_the_power_law_and_lies_in_its_interval():
    # As accurate as n = 3, at a fifth of its cost.
    surrogate = measured("fno", "surrogate", 1e-1 * 3**-4.0, 3e-3 / 5, fixed=60.0)
    found = compare(surrogate, SOLVERS, BEST, "median")
    assert found is not None and found.equal_accuracy.bound == "about"
    assert found.equal_accuracy.against == ["n2", "n4"]
    assert found.equal_accuracy.value == pytest.approx(5.0, rel=0.1)
    assert found.equal_accuracy.low < found.equal_accuracy.value < found.equal_accuracy.high
    assert found.equal_accuracy.high / found.equal_accuracy.low < 1.5
    # 8e-3 s against 0.6e-3 s, but 7^4 / 3^4 times more accurate; both times a quarter in batches.
    assert found.naive.value == pytest.approx(8 / 0.6, rel=0.1) and found.naive.against == ["n8"]
    assert found.naive_error_ratio == pytest.approx((8 / 3) ** 4, rel=0.15)
    saved = found.seconds * (found.equal_accuracy.value - 1)
    assert found.break_even == pytest.approx(60.0 / saved, rel=1e-9)
    assert found.break_even_naive < found.break_even


def test_a_surrogate_off_the_front_gets_a_bound_and_a_slow_one_never_pays():
    coarse = compare(measured("coarse", "surrogate", 0.9, 2e-3, fixed=1.0), SOLVERS, 1, "median")
    assert coarse.equal_accuracy.bound == "at most"
    assert coarse.equal_accuracy.value == pytest.approx(0.5, rel=0.1) and coarse.break_even is None
    fine = compare(measured("fine", "surrogate", 1e-7, 1e-3, fixed=None), SOLVERS, 1, "p95")
    assert fine.equal_accuracy.bound == "at least" and fine.break_even is None


def test_who_has_no_error_or_no_cost_is_not_compared():
    lost = Measured("lost", "surrogate", np.full(5, np.inf), SOLVERS[0].costs)
    assert compare(lost, SOLVERS, BEST, "median") is None
    assert compare(SOLVERS[0], SOLVERS, 64, "median") is None
    assert [p.name for p in front_of([*SOLVERS, lost], BEST, "median")] == ["n1", "n2", "n4", "n8"]


def test_repeats_of_a_slow_call_are_spread_over_those_of_a_fast_one(monkeypatch):
    import torch

    from duhamel.benchmark import timing

    order: list[str] = []
    monkeypatch.setattr(timing, "timed", lambda run, device: (run(), 1.0 if order[-1] == "slow" else 0.25)[1])
    calls = {name: lambda name=name: order.append(name) for name in ("slow", "fast")}
    times = spread_out(calls, Protocol(warm_up=2, repeats=16, least=2, seconds=4.0), torch.device("cpu"))
    assert len(times["slow"].seconds) == 4 and len(times["fast"].seconds) == 16
    measured_calls = order[-20:]
    gaps = np.diff([i for i, name in enumerate(measured_calls) if name == "slow"])
    assert set(gaps) == {5}
    with pytest.raises(ValueError, match="least"):
        Protocol(least=9, repeats=3)
