"""States of a few samples that a report shows moving: truth, surrogates, and the solver that costs as much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from duhamel.benchmark.comparison import BEST
from duhamel.benchmark.contenders import SURROGATE, Run, Setting, States
from duhamel.benchmark.evaluation import predicted
from duhamel.benchmark.result import Comparison
from duhamel.benchmark.workload import Workload

# Points an axis that are drawn; more only make the page heavy.
MOST_POINTS = {1: 512, 2: 96}


@dataclass(frozen=True)
class Shown:
    """One sample: states 0, ..., n_steps of its first channel by who made them, the truth first.

    A stationary problem has one state; `coefficient` is its first coefficient field, where it has one.
    """

    caption: str
    states: Mapping[str, Float[ndarray, "time *space"]]
    coefficient: Float[ndarray, "*space"] | None


@dataclass(frozen=True)
class Rollouts:
    """Where along each drawn axis, and when."""

    axes: Sequence[Float[ndarray, " _"]]
    times: Sequence[float]
    channel: str
    samples: Sequence[Shown]


def chosen(
    work: Workload,
    exact: States,
    runs: Mapping[str, tuple[Setting, Run]],
    errors: Mapping[str, Float[Tensor, " batch"]],
    comparisons: Sequence[Comparison],
) -> Rollouts | None:
    """The sample of median error and the worst one of the first surrogate; None where no surrogate survived."""
    surrogates = [name for name, (setting, _) in runs.items() if setting.kind == SURROGATE]
    if not surrogates:
        return None
    first = surrogates[0]
    order = errors[first].argsort()
    rows = {"Sample of median error": int(order[(len(order) - 1) // 2]), "Worst sample": int(order[-1])}
    rivals = [c.error_at_equal_cost.against[0] for c in comparisons if (c.surrogate, c.batch) == (first, BEST)]
    few = work.samples(torch.tensor(list(rows.values())))
    drawn = {"truth": exact[list(rows.values())]}
    drawn |= {name: predicted(runs[name][1], runs[name][0], few) for name in dict.fromkeys([*surrogates, *rivals])}
    stride = max(1, -(-work.grid.shape[0] // MOST_POINTS.get(work.grid.ndim, 48)))
    samples = []
    for i, (caption, row) in enumerate(rows.items()):
        start = few.u0[i][None]
        made = {
            name: _small(torch.cat([start, u[i]]) if work.dt else u[i], work.grid.ndim, stride)
            for name, u in drawn.items()
        }
        field = few.params.fields[i, :1] if few.params.fields.shape[1] else None
        numbers = zip(work.pde.scalars, few.params.scalars[i].tolist(), strict=True)
        said = "".join(f", {q.name} {v:.3g}" for q, v in numbers)
        samples.append(
            Shown(
                f"{caption} of {first}: number {row}, relative error {float(errors[first][row]):.2g}{said}",
                made,
                None if field is None else _small(field[None], work.grid.ndim, stride)[0],
            )
        )
    axes = tuple(x[::stride].numpy() for x in work.grid.coordinates()[:2])
    times = [i * work.dt for i in range(work.n_steps + 1)] if work.dt else [0.0]
    return Rollouts(axes, times, work.pde.channels[0].name, samples)


def _small(u: Tensor, ndim: int, stride: int) -> Float[ndarray, "time *space"]:
    """First channel, thinned, in float32; of three dimensions the plane in the middle of the last."""
    u = u[:, 0]
    if ndim == 3:
        u = u[..., u.shape[-1] // 2]
    for axis in range(1, u.ndim):
        u = u.index_select(axis, torch.arange(0, u.shape[axis], stride))
    return np.ascontiguousarray(u.numpy(), dtype=np.float32)
