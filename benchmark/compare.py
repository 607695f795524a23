"""What moved between two benchmarks, beyond noise: `python -m duhamel.benchmark.compare A.json B.json`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from duhamel.benchmark.result import Comparison, Cost, Document, SettingResult, read
from duhamel.benchmark.uncertainty import LEVEL, N_RESAMPLES, quantile
from duhamel.benchmark.verdict import number, percent, seconds

ENDS = (50 * (1 - LEVEL), 50 * (1 + LEVEL))


@dataclass(frozen=True)
class Change:
    """One figure of both files, as text, its ratio B / A, and whether it moved beyond noise."""

    what: str
    a: str
    b: str
    ratio: float
    moved: bool


def changes(first: Document, second: Document) -> list[Change]:
    """Errors, costs and speed-ups of all that both files hold.

    An error moved where the 95 % interval of the ratio of medians leaves 1 out, by resampling samples: those of both
    files together where they are the same samples. A cost moved where neither median lies within the 95 % range of the
    other's repeats; a speed-up where neither value lies within the other's interval.
    """
    a, b = first.result, second.result
    found = []
    others = {s.name: s for s in b.settings}
    for s in a.settings:
        other = others.get(s.name)
        if other is None or s.reason or other.reason:
            continue
        found.append(_error(s, other, paired=first.samples == second.samples))
        costs = {c.batch: c for c in other.costs}
        found += [_cost(s.name, c, costs[c.batch]) for c in s.costs if c.batch in costs]
    compared = {(c.surrogate, c.batch, c.at): c for c in b.comparisons}
    found += [_speed_up(c, compared[key]) for c in a.comparisons if (key := (c.surrogate, c.batch, c.at)) in compared]
    return found


def _error(a: SettingResult, b: SettingResult, *, paired: bool) -> Change:
    x, y = (np.array([np.inf if e is None else e for e in s.errors]) for s in (a, b))
    generator = np.random.default_rng(0)
    rows = generator.integers(len(x), size=(N_RESAMPLES, len(x)))
    others = rows if paired else generator.integers(len(y), size=(N_RESAMPLES, len(y)))
    ratios = quantile(y[others], 0.5) / quantile(x[rows], 0.5)
    low, high = np.percentile(ratios, ENDS)
    ratio = float(quantile(y, 0.5) / quantile(x, 0.5))
    return Change(
        f"{a.name}: median error", percent(a.median_error), percent(b.median_error), ratio, not low <= 1 <= high
    )


def _cost(name: str, a: Cost, b: Cost) -> Change:
    moved = not _within(b.median, a.seconds) and not _within(a.median, b.seconds)
    return Change(f"{name}: batch {a.batch}", seconds(a.median), seconds(b.median), b.median / a.median, moved)


def _within(value: float, repeats: Sequence[float]) -> bool:
    low, high = np.percentile(repeats, ENDS)
    return bool(low <= value <= high)


def _speed_up(a: Comparison, b: Comparison) -> Change:
    x, y = a.equal_accuracy, b.equal_accuracy

    def holds(value: float | None, low: float | None, high: float | None) -> bool:
        return value is not None and low is not None and high is not None and low <= value <= high

    moved = not holds(y.value, x.low, x.high) and not holds(x.value, y.low, y.high)
    ratio = y.value / x.value if x.value and y.value else float("nan")
    batch = f"batch {a.batch}" if a.batch else "best batch"
    return Change(
        f"{a.surrogate}: speed-up at equal accuracy, {a.at}, {batch}", number(x.value), number(y.value), ratio, moved
    )


def table(a: Document, b: Document, found: Sequence[Change], names: tuple[str, str], *, everything: bool) -> Table:
    """Changes beyond noise, or all figures; below, who is in one file only or failed."""
    shown = Table("figure", *names, "ratio", "", title=f"{a.result.title}: {names[0]} against {names[1]}")
    for change in found:
        if everything or change.moved:
            shown.add_row(change.what, change.a, change.b, f"{change.ratio:.3g}", "moved" if change.moved else "noise")
    for document, name in ((a, names[0]), (b, names[1])):
        for s in document.result.settings:
            if s.reason:
                shown.add_row(s.name, *("failed" if n == name else "" for n in names), "", s.reason)
    mine, theirs = ({s.name for s in d.result.settings} for d in (a, b))
    for only, name in ((mine - theirs, names[0]), (theirs - mine, names[1])):
        for setting in sorted(only):
            shown.add_row(setting, "", "", "", f"in {name} only")
    moved = sum(c.moved for c in found)
    shown.caption = f"{moved} of {len(found)} figures moved beyond noise"
    return shown


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m duhamel.benchmark.compare", description=__doc__)
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--all", action="store_true", help="show figures that did not move too")
    given = parser.parse_args(arguments)
    a, b = read(given.a), read(given.b)
    names = ("A", "B") if given.a.rsplit("/", 1)[-1] == given.b.rsplit("/", 1)[-1] else (given.a, given.b)
    console = Console(width=160)
    console.print(table(a, b, changes(a, b), names, everything=given.all))
    for name, document in zip(names, (a, b), strict=True):
        machine = document.result.machine
        console.print(
            f"{name}: commit {document.origin['commit']}, {machine['processor']}, {machine['threads']} threads"
        )


if __name__ == "__main__":
    main()
