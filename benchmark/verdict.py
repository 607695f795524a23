"""The verdict, generated from numbers: nobody writes it, so nobody flatters it."""

from collections.abc import Sequence

from duhamel.benchmark.comparison import BEST
from duhamel.benchmark.result import Comparison, Number, Ratio, SettingResult

LEAST_SAMPLES = 30


def verdict(
    surrogate: SettingResult, comparisons: Sequence[Comparison], settings: Sequence[SettingResult], hardware: str
) -> str:
    """A few sentences on one surrogate: equal accuracy first, then what would be said without it."""
    own = {(c.batch, c.at): c for c in comparisons if c.surrogate == surrogate.name}
    best = own.get((BEST, "median"))
    if best is None and surrogate.reason:
        return f"{surrogate.name} failed: {surrogate.reason}."
    if best is None:
        return f"{surrogate.name} could not be compared: no finite error and cost, or no solver setting ran."
    n_solvers = sum(s.kind == "solver" and bool(s.costs) for s in settings)
    said = [
        f"At its median relative error of {percent(best.error)} over {len(surrogate.errors)} samples, on {hardware}, "
        f"{surrogate.name} {_speed(best.equal_accuracy)} than the best of {n_solvers} solver settings "
        f"({' and '.join(best.equal_accuracy.against)})"
        f"{_bounded(best.equal_accuracy)}, each at the batch size that suits it best."
    ]
    latency = own.get((1, "median"))
    if latency is not None:
        said.append(f"One sample at a time it {_speed(latency.equal_accuracy)}{_bounded(latency.equal_accuracy)}.")
    said.append(_break_even(best, surrogate))
    said.append(
        f"Naive figure, not comparable: {_times(best.naive.value)} than {best.naive.against[0]}, whose "
        f"error is {_smaller(best.naive_error_ratio)}."
    )
    better = _dominating(surrogate, settings)
    if better:
        said.append(f"More accurate and cheaper than it: {', '.join(better)}.")
    if surrogate.reason:
        said.append(f"It failed at a size: {surrogate.reason}.")
    if len(surrogate.errors) < LEAST_SAMPLES:
        said.append(f"{len(surrogate.errors)} samples are few.")
    return " ".join(said)


def _times(value: Number) -> str:
    if value is None:
        return "no number"
    return f"{number(value)} times cheaper" if value >= 1 else f"{number(1 / value)} times dearer"


def _smaller(ratio: Number) -> str:
    if ratio is None:
        return "zero"
    return f"{number(ratio)} times smaller" if ratio >= 1 else f"{number(1 / ratio)} times larger"


def _speed(ratio: Ratio) -> str:
    """is 3.1 times cheaper (95 %: 2.8 to 3.4); is 2 times dearer."""
    value = ratio.value
    if value is None:
        return "is not cheaper by any number that could be read"
    dearer = value < 1
    shown = 1 / value if dearer else value
    ends = (ratio.high, ratio.low) if dearer else (ratio.low, ratio.high)
    interval = ""
    if ratio.low is not None and ratio.high is not None:
        low, high = (1 / e if dearer and e else e for e in ends)
        interval = f" (95 %: {number(low)} to {number(high)})"
    # A bound from above on how much cheaper is one from below on how much dearer.
    bound = {"about": "", "at most": "at most ", "at least": "at least "}[ratio.bound]
    if dearer:
        bound = {"": "", "at most ": "at least ", "at least ": "at most "}[bound]
    return f"is {bound}{number(shown)} times {'dearer' if dearer else 'cheaper'}{interval}"


def _bounded(ratio: Ratio) -> str:
    if ratio.bound == "at most":
        return " (a bound, not a number: even the cheapest setting is more accurate than it)"
    if ratio.bound == "at least":
        return " (a bound, not a number: no setting is as accurate)"
    return ""


def _break_even(best: Comparison, surrogate: SettingResult) -> str:
    fixed = surrogate.fixed
    if fixed is None or fixed.total is None:
        return "Break-even unknown: nobody says what data and training took."
    spent = f"{seconds(fixed.data_seconds)} of data, {seconds(fixed.training_seconds)} of training"
    spent += f", {seconds(fixed.tuning_seconds)} of tuning" if fixed.tuning_seconds else ", no tuning stated"
    if best.break_even is None and best.equal_accuracy.bound == "at least":
        return f"Whether it earns back what was spent before ({spent}) is open: no solver setting is as accurate."
    if best.break_even is None:
        return f"It never earns back what was spent before ({spent})."
    bound = {"about": "after about", "at most": "at the earliest after", "at least": "at the latest after"}
    return f"It breaks even {bound[best.equal_accuracy.bound]} {count(best.break_even)} solves ({spent})."


def _dominating(surrogate: SettingResult, settings: Sequence[SettingResult]) -> list[str]:
    """Other surrogates and baselines that are better on both axes; solvers are what the front holds it against."""
    mine = _at_best(surrogate)
    found = []
    for other in settings:
        theirs = _at_best(other)
        if other.contender == surrogate.contender or other.kind == "solver" or None in (*mine, *theirs):
            continue
        if all(a < b for a, b in zip(theirs, mine, strict=True)):  # type: ignore[operator]
            found.append(other.name)
    return found


def _at_best(setting: SettingResult) -> tuple[Number, Number]:
    return setting.median_error, min((c.median for c in setting.costs), default=None)


def number(x: Number) -> str:
    """Two or three digits, as far as they carry meaning."""
    if x is None:
        return "no number"
    return f"{x:.3g}" if 1e-3 <= abs(x) < 1e3 else (f"{x:,.0f}" if 1e3 <= abs(x) < 1e6 else f"{x:.1e}")


def count(x: Number) -> str:
    """A number of solves, two digits."""
    if x is None:
        return "never"
    return f"{float(f'{x:.2g}'):,.0f}" if x < 1e7 else f"{x:.1e}"


def percent(x: Number) -> str:
    if x is None:
        return "infinity"
    return f"{100 * x:.0f} %" if x >= 0.1 else f"{100 * x:.2g} %" if x >= 1e-3 else f"{x:.1e}"


def seconds(x: Number) -> str:
    """With a unit that keeps the digits few."""
    if x is None:
        return "unknown"
    if x == 0:
        return "0 s"
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (600.0, 1.0, "s")):
        if x < limit:
            return f"{factor * x:.3g} {unit}"
    return f"{x / 60:.3g} min"
