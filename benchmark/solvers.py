"""Error against seconds, our solvers and others that are installed: `python -m duhamel.benchmark.solvers`.

One core, float64. Every contender solves the same initial states on the same grid; errors are relative L2 distances to
our solution on twice the points in many more steps, which the closed forms of `tests/verification` check. Contenders
take turns; seconds are medians of the processor's, which work of others on the machine does not lengthen much.
The ratio compares them at equal error: seconds are interpolated, log against log, at the smallest error that both
reach.
"""

import argparse
import math
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from duhamel.benchmark.rivals import Run, version
from duhamel.benchmark.solver_cases import CASES, SolverCase
from duhamel.version import __version__


@dataclass(frozen=True)
class Point:
    """What one number of steps costs and leaves."""

    n_steps: int
    error: float
    seconds: float


def measure(runs: dict[str, dict[int, Run]], truth: Tensor, repeats: int) -> dict[str, list[Point]]:
    """Medians over `repeats` rounds in which every run has its turn; the first call of each gives its error."""
    errors = {
        (name, n): float((run() - truth).norm() / truth.norm()) for name, by in runs.items() for n, run in by.items()
    }
    seconds: dict[tuple[str, int], list[float]] = {key: [] for key in errors}
    for _ in range(repeats):
        for name, n in errors:
            start = time.process_time()
            runs[name][n]()
            seconds[name, n].append(time.process_time() - start)
    return {
        name: [Point(n, errors[name, n], statistics.median(seconds[name, n])) for n in by] for name, by in runs.items()
    }


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


def compare(case: SolverCase, batch: int, repeats: int) -> tuple[dict[str, list[Point]], dict[str, str]]:
    """Curves by contender, and why a rival has none."""
    u0 = case.initial(batch)
    runs: dict[str, dict[int, Run]] = {"duhamel": {n: case.ours(u0, n) for n in case.sizes}}
    missing = {}
    for name, rival in case.rivals.items():
        try:
            runs[name] = {n: rival(u0, n) for n in case.rival_sizes or case.sizes}
        except ImportError as error:
            missing[name] = f"not installed ({error.name})"
    return measure(runs, case.truth(u0), repeats), missing


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m duhamel.benchmark.solvers", description=__doc__)
    parser.add_argument("equations", nargs="*", help="names of equations; all where none is given")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args(arguments)
    # One core for all: JAX would otherwise take as many threads as it finds.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "exponax", "jax", "py-pde", "torchdiffeq"))
    title = f"duhamel {__version__}, {libraries}; one core, {platform.machine()}, float64, medians of {given.repeats}"
    table = Table(
        "equation", "points", "batch", "contender", "steps: error, milliseconds", "at error", "ms", "rival / ours",
        title=title,
    )  # fmt: skip
    for case in CASES:
        if given.equations and case.pde.name not in given.equations:
            continue
        for batch in given.batch:
            curves, missing = compare(case, batch, given.repeats)
            for name, points in curves.items():
                rivals = [curve for other, curve in curves.items() if other != "duhamel"]
                target = max(
                    min(p.error for p in curve)
                    for curve in [curves["duhamel"], *(rivals if name == "duhamel" else [points])]
                )
                ours, theirs = (seconds_at(curve, target) for curve in (curves["duhamel"], points))
                ratio = "" if name == "duhamel" else f"{theirs / ours:.2f}"
                listed = "; ".join(f"{p.n_steps}: {p.error:.1e}, {1e3 * p.seconds:.2f}" for p in points)
                where = case.pde.name + (f" {case.pde.grid(case.shape).boundary[0]}" if name == "duhamel" else "")
                table.add_row(
                    where if name == "duhamel" else "", "x".join(map(str, case.shape)), str(batch), name, listed,
                    f"{target:.1e}", f"{1e3 * theirs:.2f}", ratio,
                )  # fmt: skip
            for name, reason in missing.items():
                table.add_row("", "", str(batch), name, reason, "", "", "")
    Console(width=None if os.isatty(1) else 190).print(table)


if __name__ == "__main__":
    main()
