"""Surrogates against the front of the solvers: speed-up at equal accuracy, and what else must be said with it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from duhamel.benchmark.front import Point, Reading, break_even, error_at, pareto, seconds_at
from duhamel.benchmark.result import Comparison, Cost, Ratio, finite
from duhamel.benchmark.uncertainty import at_round, of_statistic, quantile

QUANTILES = {"median": 0.5, "p95": 0.95}
# Batch 0: each setting at the batch size that suits it best.
BEST = 0


@dataclass(frozen=True)
class Measured:
    """Errors by sample (inf where diverged) and costs of one setting that ran."""

    name: str
    kind: str
    errors: Float[ndarray, " sample"]
    costs: Sequence[Cost]
    fixed: float | None = None

    def seconds(self, batch: int) -> Sequence[float] | None:
        """Repeats at a batch size, None where there are none."""
        if batch == BEST:
            return min(self.costs, key=lambda c: c.median).seconds if self.costs else None
        return next((c.seconds for c in self.costs if c.batch == batch), None)


def front_of(solvers: Sequence[Measured], batch: int, at: str) -> list[Point]:
    """The front of the solver settings by error quantile and median cost."""
    points = []
    for solver in solvers:
        seconds = solver.seconds(batch)
        if seconds:
            points.append(Point(solver.name, _quantile(solver.errors, at), float(np.median(seconds))))
    return pareto(points)


def compare(surrogate: Measured, solvers: Sequence[Measured], batch: int, at: str) -> Comparison | None:
    """None where the surrogate or all solvers have no cost at this batch size or no error."""
    own, front = surrogate.seconds(batch), front_of(solvers, batch, at)
    error = _quantile(surrogate.errors, at)
    if not own or not front or not math.isfinite(error):
        return None
    seconds = float(np.median(own))
    reading, best = seconds_at(front, error), front[-1]
    at_cost = error_at(front, seconds)
    repeats = {s.name: found for s in [surrogate, *solvers] if (found := s.seconds(batch))}
    by_sample = np.stack([s.errors for s in [surrogate, *solvers] if s.name in repeats])

    def speed_up(rows: ndarray, place: float) -> float:
        drawn = quantile(by_sample[:, rows], QUANTILES[at])
        single = at_round(repeats, place)
        mine, *others = (Point(n, float(e), single[n]) for n, e in zip(repeats, drawn, strict=True))
        line = pareto(others)
        return seconds_at(line, mine.error).value / mine.seconds if line and math.isfinite(mine.error) else math.inf

    def naive(rows: ndarray, place: float) -> float:
        single = at_round(repeats, place)
        return single[best.name] / single[surrogate.name]

    n_rounds = max(len(s) for s in repeats.values())
    n_samples = len(surrogate.errors)
    low, high = of_statistic(speed_up, n_samples, n_rounds)
    naive_low, naive_high = of_statistic(naive, n_samples, n_rounds)
    fixed = surrogate.fixed
    return Comparison(
        surrogate.name,
        batch,
        at,
        finite(error),
        seconds,
        _ratio(reading, reading.value / seconds, low, high),
        Ratio(best.seconds / seconds, naive_low, naive_high, "not comparable", [best.name]),
        finite(error / best.error) if best.error > 0 else None,
        _ratio(at_cost, at_cost.value, None, None),
        None if fixed is None else finite(break_even(fixed, reading.value, seconds)),
        None if fixed is None else finite(break_even(fixed, best.seconds, seconds)),
    )


def _ratio(reading: Reading, value: float, low: float | None, high: float | None) -> Ratio:
    ends = [x for x in (low, high, finite(value)) if x is not None]
    # Of few rounds and samples the medians may lie outside of what single rounds give.
    low, high = (min(ends), max(ends)) if low is not None and high is not None else (low, high)
    return Ratio(finite(value), low, high, reading.bound, list(reading.between))


def _quantile(errors: ndarray, at: str) -> float:
    return float(quantile(errors, QUANTILES[at]))


def fronts(solvers: Sequence[Measured], batch_sizes: Sequence[int]) -> Mapping[str, list[str]]:
    """Names on the front by batch size, at the median error."""
    return {str(b): [p.name for p in front_of(solvers, b, "median")] for b in (BEST, *batch_sizes)}
