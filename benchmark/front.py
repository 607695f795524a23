"""Work and precision: who is on the front, what equal accuracy costs there, and when a fixed cost is earned back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One setting of a contender: relative error and seconds a sample."""

    name: str
    error: float
    seconds: float


@dataclass(frozen=True)
class Reading:
    """What a front says at one error (seconds) or at one cost (an error).

    bound: "about" where it was interpolated; "at most" or "at least" where the front ends before: then `value` is that
        of its last point and only bounds the answer.
    between: the settings that it was read from.
    """

    value: float
    bound: str
    between: tuple[str, ...]


def pareto(points: Sequence[Point]) -> list[Point]:
    """Points that no other beats in error and cost at once, from cheap to accurate; those without an error left out.

    >>> [p.name for p in pareto([Point("a", 0.1, 1.0), Point("b", 0.2, 2.0), Point("c", 0.01, 3.0)])]
    ['a', 'c']
    """
    front: list[Point] = []
    finite = (p for p in points if math.isfinite(p.error) and math.isfinite(p.seconds))
    for point in sorted(finite, key=lambda p: (p.seconds, p.error)):
        if not front or point.error < front[-1].error:
            front.append(point)
    return front


def seconds_at(front: Sequence[Point], error: float) -> Reading:
    """Seconds a sample that the front asks for at this error: log-log interpolation between its neighbours.

    Where the cheapest point is already more accurate, its cost is an upper bound of the cost of this error; where no
    point is as accurate, the cost of the most accurate one is a lower bound.

    >>> front = [Point("coarse", 1e-1, 1.0), Point("fine", 1e-3, 100.0)]
    >>> round(seconds_at(front, 1e-2).value, 9), seconds_at(front, 0.5).bound, seconds_at(front, 1e-4).bound
    (10.0, 'at most', 'at least')
    """
    _require(front)
    if error > front[0].error:
        return Reading(front[0].seconds, "at most", (front[0].name,))
    if not error >= front[-1].error:
        return Reading(front[-1].seconds, "at least", (front[-1].name,))
    return _between(front, [p.error for p in front], [p.seconds for p in front], error)


def error_at(front: Sequence[Point], seconds: float) -> Reading:
    """The error that the front reaches at this cost; the transpose of `seconds_at`."""
    _require(front)
    if seconds < front[0].seconds:
        return Reading(front[0].error, "at least", (front[0].name,))
    if seconds > front[-1].seconds:
        return Reading(front[-1].error, "at most", (front[-1].name,))
    return _between(front, [p.seconds for p in front], [p.error for p in front], seconds)


def break_even(fixed: float, solver: float, surrogate: float) -> float:
    """Solves after which `fixed` seconds are earned back, each saving `solver - surrogate`; inf where none is saved.

    >>> break_even(10.0, 3.0, 1.0), break_even(10.0, 1.0, 1.0)
    (5.0, inf)
    """
    return fixed / (solver - surrogate) if solver > surrogate else math.inf


def _require(front: Sequence[Point]) -> None:
    if not front:
        raise ValueError("there is no front: no solver setting has both an error and a cost")


def _between(front: Sequence[Point], x: Sequence[float], y: Sequence[float], at: float) -> Reading:
    """y at x = `at`, both logarithmic, x monotonic along the front and holding `at`."""
    for i, point in enumerate(front):
        if x[i] == at:
            return Reading(y[i], "about", (point.name,))
    i = next(i for i in range(len(x) - 1) if min(x[i], x[i + 1]) < at < max(x[i], x[i + 1]))
    if min(x[i], x[i + 1], y[i], y[i + 1]) <= 0:
        # An error of zero has no logarithm. The cheaper neighbour costs less, the dearer one errs less: they bound it.
        return Reading(max(y[i], y[i + 1]), "at most", (front[i].name, front[i + 1].name))
    share = math.log(at / x[i]) / math.log(x[i + 1] / x[i])
    value = math.exp((1 - share) * math.log(y[i]) + share * math.log(y[i + 1]))
    return Reading(value, "about", (front[i].name, front[i + 1].name))
