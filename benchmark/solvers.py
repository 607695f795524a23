"""Error against seconds, our solvers and others that are installed: `python -m duhamel.benchmark.solvers`.

One core, float64. Every contender solves the same initial states on the same grid; errors are relative L2 distances to
our solution on twice the points in many more steps, which the closed forms of `tests/verification` check. Contenders
take turns; seconds are medians by the wall clock, and beside them by the processor's: where the two differ, others were
at work on the machine. The ratio compares contenders at equal error: seconds are interpolated, log against log, at the
smallest error that both reach.
"""

import argparse
import contextlib
import math
import os
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from duhamel.benchmark.rivals import Run, version
from duhamel.benchmark.solver_cases import CASES, SolverCase
from duhamel.solvers import UnresolvedError
from duhamel.version import __version__


@dataclass(frozen=True)
class Point:
    """What one number of steps costs, by the wall clock and the processor's, and leaves."""

    n_steps: int
    error: float
    seconds: float
    processor: float = math.nan


def measure(runs: dict[str, dict[int, Run]], truth: Tensor, repeats: int, patience: float) -> dict[str, list[Point]]:
    """Medians over `repeats` rounds in which every run has its turn; the first call of each gives its error.

    A run that has been timed for `patience` seconds has no further turn. Numbers of steps that a solver refuses as too
    few are left out.
    """
    errors = {}
    for name, by in runs.items():
        for n, run in by.items():
            with contextlib.suppress(UnresolvedError):
                errors[name, n] = float((run() - truth).norm() / truth.norm())
    seconds: dict[tuple[str, int], list[tuple[float, float]]] = {key: [] for key in errors}
    for _ in range(repeats):
        for (name, n), spent in seconds.items():
            if sum(wall for wall, _ in spent) < patience:
                start, processor = time.perf_counter(), time.process_time()
                runs[name][n]()
                spent.append((time.perf_counter() - start, time.process_time() - processor))
    curves: dict[str, list[Point]] = {name: [] for name in runs}
    for (name, n), spent in seconds.items():
        wall, used = (statistics.median(column) for column in zip(*spent, strict=True))
        curves[name].append(Point(n, errors[name, n], wall, used))
    return curves


def seconds_at(points: Sequence[Point], error: float) -> float:
    """Seconds for this error, interpolated along the curve; of the cheapest point where all are better."""
    line = sorted(points, key=lambda p: p.error, reverse=True)
    if error >= line[0].error:
        return line[0].seconds
    for worse, better in zip(line, line[1:], strict=False):
        if worse.error >= error >= better.error:
            share = math.log(worse.error / error) / math.log(worse.error / better.error)
            return math.exp((1 - share) * math.log(worse.seconds) + share * math.log(better.seconds))
    return math.inf


def compare(
    case: SolverCase, batch: int, repeats: int, patience: float = 1.0
) -> tuple[dict[str, list[Point]], dict[str, str]]:
    """Curves by contender, and why a rival has none."""
    u0 = case.initial(batch)
    runs: dict[str, dict[int, Run]] = {"duhamel": {n: case.ours(u0, n) for n in case.sizes}}
    missing = {}
    for name, rival in case.rivals.items():
        try:
            runs[name] = {n: rival(u0, n) for n in case.rival_sizes or case.sizes}
        except ImportError as error:
            missing[name] = f"not installed ({error.name})"
    with torch.inference_mode():
        curves = measure(runs, case.truth(u0), repeats, patience)
    missing |= {name: "refuses every number of steps" for name, points in curves.items() if not points}
    return {name: points for name, points in curves.items() if points}, missing


def rows(case: SolverCase, batch: int, curves: dict[str, list[Point]]) -> Iterator[list[str]]:
    """Of the table: one a contender, ours first."""
    for name, points in curves.items():
        others = [curve for other, curve in curves.items() if other != "duhamel"] if name == "duhamel" else [points]
        # What rounding leaves is no difference.
        target = max(1e-13, *(min(p.error for p in curve) for curve in [curves["duhamel"], *others]))
        ours, theirs = (seconds_at(curve, target) for curve in (curves["duhamel"], points))
        listed = "; ".join(
            f"{p.n_steps}: {p.error:.1e}, {1e3 * p.seconds:.2f} ({1e3 * p.processor:.2f})" for p in points
        )
        where = f"{case.pde.name} {case.pde.grid(case.shape).boundary[0]}" if name == "duhamel" else ""
        yield [
            where, "x".join(map(str, case.shape)), str(batch), name, listed, f"{target:.1e}", f"{1e3 * theirs:.2f}",
            "" if name == "duhamel" else f"{theirs / ours:.2f}",
        ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m duhamel.benchmark.solvers", description=__doc__)
    parser.add_argument("equations", nargs="*", help="names of equations; all where none is given")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--patience", type=float, default=1.0, help="seconds after which a run has no further turn")
    given = parser.parse_args(arguments)
    # One core for all: JAX would otherwise take as many threads as it finds.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "exponax", "jax", "py-pde", "torchdiffeq"))
    print(f"duhamel {__version__}, {libraries}; one core, {platform.machine()}, float64, medians of {given.repeats}")
    titles = [
        "equation", "points", "batch", "contender", "steps: error, ms (ms of the processor)", "at error", "ms",
        "rival / ours",
    ]  # fmt: skip
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for case in CASES:
        if given.equations and case.pde.name not in given.equations:
            continue
        for batch in given.batch:
            curves, missing = compare(case, batch, given.repeats, given.patience)
            for row in rows(case, batch, curves) if "duhamel" in curves else ():
                print(f"| {' | '.join(row)} |", flush=True)
            for name, reason in missing.items():
                print(f"| | | {batch} | {name} | {reason} | | | |", flush=True)


if __name__ == "__main__":
    main()
