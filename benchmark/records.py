"""From what a benchmark measured to what benchmark.json holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn

from duhamel.benchmark.contenders import Fixed, Run, Setting
from duhamel.benchmark.evaluation import Accuracy
from duhamel.benchmark.result import (
    Cost,
    FixedCost,
    Interval,
    SettingResult,
    Stability,
    TruthRecord,
    finite,
    finite_list,
)
from duhamel.benchmark.uncertainty import mean_over_seeds, quantile
from duhamel.benchmark.workload import Truth, Workload
from duhamel.metrics import energy_spectrum
from duhamel.solvers import Solution


@dataclass
class Entry:
    """A setting on its way through the benchmark; `reason` once it has failed.

    untimed: why it has no cost for a batch size, where it ran out of memory, say, though it solves the samples.
    """

    setting: Setting
    run: Run | None = None
    reason: str = ""
    untimed: str = ""
    errors: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    costs: list[Cost] = field(default_factory=list)
    accuracy: Accuracy | None = None
    stability: Stability | None = None


def median(entry: Entry) -> float:
    """Error that half of the samples do not exceed; inf where that half is not finite."""
    return float(quantile(entry.errors.numpy(), 0.5))


def result(entry: Entry) -> SettingResult:
    setting, known = entry.setting, entry.accuracy or Accuracy({}, [], [], [], [])
    by_sample = entry.errors.numpy()
    surrogate = setting.surrogate
    return SettingResult(
        name=setting.name,
        contender=setting.contender,
        kind=setting.kind,
        knobs=dict(setting.knobs),
        reason=entry.reason or entry.untimed,
        errors=finite_list(by_sample.tolist()),
        median_error=finite(float(quantile(by_sample, 0.5))) if by_sample.size else None,
        p95_error=finite(float(quantile(by_sample, 0.95))) if by_sample.size else None,
        costs=entry.costs,
        fixed=_fixed(setting.fixed),
        n_parameters=n_numbers(surrogate) if surrogate is not None else None,
        **{f: getattr(known, f) for f in ("accuracy", "error_by_time", "spectrum", "by_parameter", "worst")},
        stability=entry.stability,
    )


def _fixed(fixed: Fixed | None) -> FixedCost | None:
    if fixed is None:
        return None
    return FixedCost(
        fixed.data_seconds,
        fixed.training_seconds,
        fixed.tuning_seconds,
        fixed.total,
        fixed.n_epochs,
        fixed.seconds_per_epoch,
        dict(fixed.sources),
    )


def n_numbers(module: nn.Module) -> int:
    """Real numbers among its parameters: a complex one is two, however a library keeps them."""
    return sum(p.numel() * (1 + p.is_complex()) for p in module.parameters())


def ranges(work: Workload) -> dict[str, list[float]]:
    """Least and greatest value of each number among the parameters."""
    columns = zip(work.pde.scalars, work.params.scalars.unbind(1), strict=True)
    return {q.name: [float(v.min()), float(v.max())] for q, v in columns}


def record(truth: Truth, solution: Solution, work: Workload, best: Entry) -> TruthRecord:
    spectrum = energy_spectrum(solution.u[:, -1:], work.grid).mean(0)[0, 0]
    return TruthRecord(
        truth.rtol,
        float(solution.estimated_error.max()),
        best.setting.name,
        finite(median(best)),
        list(solution.cost.n),
        solution.cost.substeps,
        solution.cost.seconds,
        finite_list(spectrum.tolist()),
    )


def over_seeds(entries: Sequence[Entry]) -> dict[str, Interval]:
    """Mean relative L2 of contenders with several trainings, over trainings and samples; apart for other knobs.

    A training that failed, or whose rollouts diverge, counts beside those that did not: then the mean is not finite.
    """
    generator = np.random.default_rng(0)
    grouped: dict[str, list[np.ndarray]] = {}
    n_samples = max((entry.errors.numel() for entry in entries), default=0)
    for entry in entries:
        if "seed" in entry.setting.knobs and n_samples:
            knobs = {k: v for k, v in entry.setting.knobs.items() if k != "seed"}
            errors = entry.errors.numpy() if entry.errors.numel() else np.full(n_samples, np.inf)
            grouped.setdefault(replace(entry.setting, knobs=knobs).name, []).append(errors)
    return {name: mean_over_seeds(np.stack(rows), generator=generator) for name, rows in grouped.items()}
