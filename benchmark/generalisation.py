"""Where surrogates were not trained: other resolutions, other distributions. Each is judged by a truth of its own."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from jaxtyping import Float
from torch import Tensor

from duhamel.benchmark.contenders import Run, Setting, States
from duhamel.benchmark.evaluation import errors, first_failure, predicted
from duhamel.benchmark.result import Number, OutOfRange, TransferCell, finite
from duhamel.benchmark.uncertainty import quantile
from duhamel.benchmark.workload import Draw, Truth, Workload
from duhamel.fields import Grid
from duhamel.pdes import PDE
from duhamel.solvers import PointValues, Solution


def transfer_matrix(
    settings: Sequence[Setting],
    draw: Draw,
    truth: Truth,
    shapes: Sequence[Sequence[int]],
    n_samples: int,
) -> list[TransferCell]:
    """Each surrogate on each number of points, directly, and on its own points with its states interpolated."""
    cells = []
    for shape in shapes:
        work = draw.at(shape).first(n_samples)
        exact = truth.solve(work)
        for setting in settings:
            surrogate = setting.surrogate
            if surrogate is None:
                continue
            trained = surrogate.problem.grid.shape
            own = draw.at(trained).first(n_samples)

            def direct(setting: Setting = setting, work: Workload = work) -> States:
                surrogate = setting.surrogate
                if (
                    surrogate is not None
                    and surrogate.operator.resolution_bound
                    and work.grid != surrogate.problem.grid
                ):
                    raise ValueError(f"bound to its grid: {surrogate.operator.resolution_bound}")
                return predicted(setting.build(work), setting, work)

            def interpolated(setting: Setting = setting, own: Workload = own, work: Workload = work) -> States:
                return _at_points(predicted(setting.build(own), setting, own), own.grid, work.grid)

            methods: dict[str, Callable[[], States]] = {"direct": direct}
            if tuple(shape) != trained:
                methods["interpolated"] = interpolated
            for method, run in methods.items():
                error, reason = median_error(run, exact, truth.margin)
                cells.append(TransferCell(setting.name, list(trained), list(shape), method, error, reason))
    return cells


def _at_points(states: States, grid: Grid, target: Grid) -> Float[Tensor, "batch time channel *target"]:
    points = PointValues()
    finer = all(m >= n for n, m in zip(grid.shape, target.shape, strict=True))
    flat = states.flatten(0, 1)
    moved = points.prolong(flat, grid, target) if finer else points.restrict(flat, grid, target)
    return moved.unflatten(0, states.shape[:2])


def out_of_range(
    runs: Mapping[str, tuple[Setting, Run]],
    in_range: Mapping[str, Number],
    draw: Draw,
    truth: Truth,
    others: Mapping[str, PDE],
    n_samples: int,
) -> list[OutOfRange]:
    """Median errors of settings on samples of other distributions of the same equation."""
    found = []
    for name, pde in others.items():
        if pde.name != draw.pde.name:
            raise ValueError(
                f"out_of_range.{name} is another equation ({pde.name}), not another range of {draw.pde.name}"
            )
        work = draw.of(pde).at().first(n_samples)
        try:
            exact = truth.solve(work)
        except ValueError as error:
            found += [OutOfRange(name, s, None, in_range[s], f"no truth: {first_failure(error)}") for s in runs]
            continue
        for key, (setting, _) in runs.items():
            run = partial(_run, setting, work)
            median, reason = median_error(run, exact, truth.margin)
            found.append(OutOfRange(name, key, median, in_range[key], reason))
    return found


def _run(setting: Setting, work: Workload) -> States:
    return predicted(setting.build(work), setting, work)


def median_error(run: Callable[[], States], truth: Solution, margin: float) -> tuple[Number, str]:
    """No number where the truth is not `margin` times more accurate."""
    try:
        by_sample = errors(run(), truth.u[:, 1:])
    except Exception as error:  # a contender's failure is its result
        return None, first_failure(error)
    median = float(quantile(by_sample.numpy(), 0.5))
    least = margin * float(truth.estimated_error.max())
    if median < least:
        return None, f"within {least:.1e}, {margin:g} times the truth's own error: lower others_rtol"
    return finite(median), "" if math.isfinite(median) else "not finite in at least half of the samples"
