"""Finer grids than those of the training: the operator there, or where it was trained and then interpolated.

    python -m duhamel.benchmark.study study=resolution data=FOLDER out=STUDY
    python -m duhamel.benchmark.resolution STUDY FOLDER/burgers_resolution.hdf5 [--strides 4 2 1]

The file holds the finest grid; a stride gives the same states on a coarser one, the first that of the training. For
each run of the study and each stride: the relative L2 error of the rollout by the operator on that grid (zero-shot),
and of the rollout on the grid of the training from the thinned first state, interpolated (coarse). An operator that
refuses a grid has no zero-shot error. Means and sample standard deviations over seeds.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from duhamel.datasets import open_source
from duhamel.datasets.selection import select
from duhamel.datasets.windows import Windows
from duhamel.fields import Trajectory, resample, rollout
from duhamel.metrics import relative_l2
from duhamel.operators import Surrogate, load


def trajectories(path: Path, stride: int) -> Trajectory:
    """All of a file, every `stride`-th point of each axis."""
    source = select(open_source(path), space_stride=stride)
    windows = Windows([source], [range(source.n_trajectories)])
    return windows.batch(range(len(windows)))


@torch.no_grad()
def zero_shot(surrogate: Surrogate, truth: Trajectory) -> float | None:
    """Mean error of the rollout on the grid of `truth`; None where the operator refuses it."""
    try:
        u = rollout(surrogate.on(truth.grid), truth.u[:, 0], truth.params, truth.n_steps)
    except (ValueError, RuntimeError):  # the latter: of products between shapes that do not fit
        return None
    return float(relative_l2(u, truth.u[:, 1:]).mean())


@torch.no_grad()
def interpolated(surrogate: Surrogate, coarse: Trajectory, truth: Trajectory) -> float:
    """Mean error of the rollout on the grid of training, every state interpolated to that of `truth`."""
    u = rollout(surrogate, coarse.u[:, 0], coarse.params, coarse.n_steps)
    fine = resample(u.flatten(0, 1), coarse.grid, truth.grid).unflatten(0, u.shape[:2])
    return float(relative_l2(fine, truth.u[:, 1:]).mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table, write it beside the study as resolution.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--strides", type=int, nargs="+", default=[4, 2, 1])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    truths = [trajectories(options.file, stride) for stride in options.strides]
    rows: dict[str, list[list[tuple[float | None, float]]]] = {}
    bound: dict[str, str] = {}
    for outcome in json.loads((options.study / "study.json").read_text())["outcomes"]:
        if outcome["reason"]:
            continue
        run = options.study / f"{outcome['contender']}_{outcome['seed']}"
        surrogate = load(run / "surrogate.safetensors")
        bound[outcome["contender"]] = "bound" if surrogate.operator.resolution_bound else "free"
        errors = [(zero_shot(surrogate, truth), interpolated(surrogate, truths[0], truth)) for truth in truths]
        rows.setdefault(outcome["contender"], []).append(errors)
    shapes = ["x".join(map(str, truth.grid.shape)) for truth in truths]
    table = Table("operator", "claims", *(f"{s} {kind}" for s in shapes for kind in ("zero-shot", "coarse")))
    for contender, runs in rows.items():
        cells = [_spread([run[i][j] for run in runs]) for i in range(len(truths)) for j in (0, 1)]
        table.add_row(contender, bound[contender], *cells)
    Console(width=160).print(table)
    (options.study / "resolution.json").write_text(json.dumps(rows, indent=2) + "\n")


def _spread(values: Sequence[float | None]) -> str:
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return "refused"
    deviation = f" ± {statistics.stdev(numbers):.1g}" if len(numbers) > 1 else ""
    return f"{statistics.mean(numbers):.3g}{deviation}"


if __name__ == "__main__":
    main()
