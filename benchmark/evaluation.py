"""How accurate a setting is: errors by sample, the panel of metrics, bins, worst samples, stability."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.benchmark.contenders import Run, Setting, States
from duhamel.benchmark.result import Bin, Interval, Number, Stability, Worst, finite, finite_list
from duhamel.benchmark.uncertainty import mean, quantile
from duhamel.benchmark.workload import Workload
from duhamel.fields import Parameters
from duhamel.metrics import Panel, relative_l2

# Means over samples that the report shows, by their names in a panel; drifts of invariants come besides.
FIGURES = ("relative_l2", "nrmse", "vrmse", "rmse", "h1", "max_error", "horizon")
BANDS = ("relative_l2_low", "relative_l2_mid", "relative_l2_high")
N_BINS = 4
N_WORST = 5
BATCH = 64


def predicted(run: Run, setting: Setting, work: Workload, batch: int = BATCH) -> States:
    """All samples of the workload, in float64 on the CPU."""
    parts = []
    for start in range(0, work.n_samples, batch):
        rows = slice(start, start + batch)
        u0, params = work.u0[rows].to(work.device, setting.dtype), work.params[rows].to(work.device, setting.dtype)
        parts.append(run(u0, params).cpu().double())
    states = torch.cat(parts)
    expected = (work.n_samples, work.n_steps, *work.u0.shape[1:])
    if tuple(states.shape) != expected:
        raise ValueError(f"states of shape {tuple(states.shape)}, asked for {expected}")
    return states


def errors(prediction: States, truth: States) -> Float[Tensor, " batch"]:
    """Relative L2 over all states wanted; inf where a prediction is not finite."""
    return relative_l2(prediction, truth).nan_to_num(nan=math.inf, posinf=math.inf)


@dataclass(frozen=True)
class Accuracy:
    """See `result.SettingResult` for the fields."""

    accuracy: dict[str, Interval]
    error_by_time: list[Number]
    spectrum: list[Number]
    by_parameter: list[Bin]
    worst: list[Worst]


def accuracy(prediction: States, truth: States, work: Workload, *, threshold: float) -> Accuracy:
    """threshold: relative L2 of a state at which its horizon ends."""
    panel = Panel(work.problem, pde=work.pde, threshold=threshold, n_kept=0)
    for start in range(0, work.n_samples, BATCH):
        rows = slice(start, start + BATCH)
        panel.update(prediction[rows], truth[rows], initial=work.u0[rows], params=work.params[rows], grid=work.grid)
    values = panel.by_sample()
    drifts = sorted(name for name in values if "drift/" in name)
    shown = [*FIGURES, *BANDS, *drifts] if work.dt else [*FIGURES[:-1], *BANDS]
    figures = {name: mean(values[name].numpy()) for name in shown}
    exponent = work.pde.lyapunov_exponent
    if exponent is not None:
        figures["horizon_lyapunov"] = mean((values["horizon"] * work.dt * exponent).numpy())
    by_sample = errors(prediction, truth)
    return Accuracy(
        figures,
        finite_list(values["error_by_time"].nan_to_num(nan=math.inf).quantile(0.5, dim=0).tolist()),
        finite_list(values["prediction_spectrum"].mean(0)[0].tolist()),
        bins(by_sample, work),
        worst(by_sample, work),
    )


def features(work: Workload) -> dict[str, Float[Tensor, " batch"]]:
    """What samples are told apart by: their numbers, and of each coefficient field its mean over space."""
    named = dict(zip([q.name for q in work.pde.scalars], work.params.scalars.unbind(1), strict=True))
    fields = work.params.fields.flatten(2).mean(2).unbind(1) if work.params.fields.shape[1] else ()
    named |= dict(zip([f"mean {q.name}" for q in work.pde.coefficients], fields, strict=True))
    return named


def bins(by_sample: Float[Tensor, " batch"], work: Workload) -> list[Bin]:
    """Median error in each quarter of the samples, by each parameter that varies."""
    found = []
    for name, values in features(work).items():
        if bool((values == values[0]).all()):
            continue
        for rows in values.argsort().chunk(N_BINS):
            low, high = float(values[rows].min()), float(values[rows].max())
            found.append(Bin(name, low, high, len(rows), finite(float(quantile(by_sample[rows].numpy(), 0.5)))))
    return found


def worst(by_sample: Float[Tensor, " batch"], work: Workload) -> list[Worst]:
    """The five samples of largest error, the worst first."""
    rows = by_sample.argsort(descending=True)[:N_WORST].tolist()
    named = features(work)
    return [Worst(i, finite(float(by_sample[i])), {k: float(v[i]) for k, v in named.items()}) for i in rows]


def stability(setting: Setting, work: Workload, truth: States, *, factor: int) -> Stability:
    """Rollouts over `factor` times the workload's steps."""
    long = replace(work, n_steps=factor * work.n_steps)
    states = predicted(setting.build(long), setting, long)
    finite_rows = states.isfinite().flatten(1).all(1)
    largest = torch.maximum(truth.abs().max(), work.u0.abs().max())
    bounded = finite_rows & (states.abs().flatten(1).amax(1) <= 2 * largest)
    return Stability(long.n_steps, long.n_samples, float(finite_rows.double().mean()), float(bounded.double().mean()))


def first_failure(error: Exception) -> str:
    """What went wrong, as a report says it."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0] if said else 'no message'}"


def tiled(work: Workload, batch: int, turn: int) -> tuple[Tensor, Parameters]:
    """`batch` samples, others at each turn; samples repeat where there are fewer."""
    rows = (torch.arange(batch) + turn * batch) % work.n_samples
    if work.n_samples <= batch:
        rows = (torch.arange(batch) + turn) % work.n_samples
    return work.u0[rows], work.params[rows]
