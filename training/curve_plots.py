"""Pictures of errors: over time, by parameter, by wavenumber, and along the training."""

import csv
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from duhamel.fields import Problem
from duhamel.metrics import Curves
from duhamel.training.field_plots import label

SURROGATE, PERSISTENCE, TRUTH = "tab:red", "tab:gray", "black"


def _quantile(values: Float[Tensor, "batch *rest"], q: float) -> np.ndarray:
    """Over samples; what is not finite counts as larger than all numbers, so that one diverged sample hides nothing."""
    ranked = values.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=torch.inf)
    return ranked.quantile(q, dim=0, interpolation="nearest").numpy()


def _band(axes: Axes, x: Float[Tensor, " time"], y: Float[Tensor, "batch time"], *, color: str, name: str) -> None:
    """Median over samples, and the quartiles around it."""
    low, high = _quantile(y, 0.25), _quantile(y, 0.75)
    axes.plot(x.numpy(), _quantile(y, 0.5), color=color, label=name)
    axes.fill_between(x.numpy(), low, high, where=np.isfinite(high).tolist(), color=color, alpha=0.2, linewidth=0)


def plot_errors(curves: Curves, problem: Problem, *, threshold: float) -> Figure:
    """Error over rollout time against persistence, and how errors of whole trajectories are distributed."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    steps = len(curves.steps)
    left, right = figure.subplots(1, 2) if steps > 1 else (None, figure.subplots())
    if left is not None:
        t = curves.steps * (problem.dt or 1.0)
        _band(left, t, curves.persistence, color=PERSISTENCE, name="persistence (initial state)")
        _band(left, t, curves.error, color=SURROGATE, name="surrogate")
        left.axhline(threshold, color=TRUTH, linestyle=":", label=f"threshold of the horizon ({threshold:g})")
        left.set(yscale="log", xlabel="t", ylabel="relative L2 error of the state")
        left.set_title("Error over time: median and quartiles of samples")
        left.legend()
    errors = curves.trajectory_error.numpy()
    shown = errors[np.isfinite(errors) & (errors > 0)]
    if shown.size:
        low, high = shown.min(), shown.max()
        n_bins = min(10 + int(np.sqrt(shown.size)), 40)
        spread = (low, high) if high > 1.01 * low else (low / 2, 2 * high)
        bins = np.geomspace(*spread, n_bins + 1)
        right.hist(shown, bins=bins.tolist(), color=SURROGATE, alpha=0.7)
        right.axvline(float(np.median(shown)), color=TRUTH, label=f"median {np.median(shown):.3g}")
        right.legend()
    right.set(xscale="log", xlabel="relative L2 error of the trajectory", ylabel="samples")
    right.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    right.xaxis.set_major_formatter("{x:g}")
    right.xaxis.set_minor_formatter(NullFormatter())
    beyond = int((~np.isfinite(errors)).sum())
    right.set_title(f"{len(errors)} test samples" + (f", of which {beyond} diverged (not shown)" if beyond else ""))
    return figure


def plot_parameters(curves: Curves, problem: Problem) -> Figure:
    """Error of each trajectory against each scalar parameter; samples that diverged are marked at the upper edge."""
    n = len(problem.scalars)
    if n == 0:
        raise ValueError("a problem without scalar parameters has no error by parameter")
    figure = Figure(figsize=(min(4.5 * n, 13.5), 3.8 * -(-n // 3)), layout="constrained")
    all_axes = figure.subplots(-(-n // 3), min(n, 3), squeeze=False, sharey=True).ravel()
    errors = curves.trajectory_error.numpy()
    finite = np.isfinite(errors)
    for i, (ax, quantity) in enumerate(zip(all_axes, problem.scalars, strict=False)):
        values = curves.scalars[:, i].numpy()
        ax.scatter(values[finite], errors[finite], s=12, color=SURROGATE, alpha=0.5, linewidth=0)
        edge = np.ones(int((~finite).sum()))
        ax.scatter(values[~finite], edge, marker="^", color=TRUTH, transform=ax.get_xaxis_transform(), clip_on=False)
        logarithmic = values.min() > 0 and values.max() > 10 * values.min()
        ax.set(xscale="log" if logarithmic else "linear", yscale="log", xlabel=label(quantity))
    for ax in all_axes[n:]:
        ax.set_axis_off()
    for ax in all_axes[:: min(n, 3)]:
        ax.set_ylabel("relative L2 error")
    figure.suptitle("Error of each test trajectory by parameter" + ("" if finite.all() else " (triangles: diverged)"))
    return figure


def plot_spectra(curves: Curves, problem: Problem) -> Figure:
    """Median energy by wavenumber at the last step: truth, prediction, and their difference."""
    n = len(problem.channels)
    rows, columns = -(-n // 3), min(n, 3)
    figure = Figure(figsize=(max(4.5 * columns, 6), 3.8 * rows), layout="constrained")
    all_axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    shells = np.arange(1, curves.truth_spectrum.shape[2])
    for c, (ax, channel) in enumerate(zip(all_axes, problem.channels, strict=False)):
        truth, prediction, error = (
            _quantile(spectrum[:, c, 1:], 0.5)
            for spectrum in (curves.truth_spectrum, curves.prediction_spectrum, curves.error_spectrum)
        )
        ax.plot(shells, truth, color=TRUTH, label="truth")
        ax.plot(shells, prediction, color=SURROGATE, linestyle="--", label="prediction")
        ax.plot(shells, error, color="tab:blue", linestyle=":", label="prediction \N{MINUS SIGN} truth")
        ax.set(xscale="log", yscale="log", xlabel="wavenumber (periods over the longest side)")
        ax.set_title(label(channel))
    for ax in all_axes[n:]:
        ax.set_axis_off()
    for ax in all_axes[::columns]:
        ax.set_ylabel("median energy of the shell")
    all_axes[0].legend()
    figure.suptitle("Energy spectrum at the last step")
    return figure


def plot_training(metrics_csv: Path) -> Figure:
    """Training loss by step, and validation error by step, as `metrics.csv` of a run holds them."""
    with metrics_csv.open(newline="") as file:
        rows = list(csv.DictReader(file))

    def curve(name: str) -> tuple[list[int], list[float]]:
        kept = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
        return [step for step, _ in kept], [value for _, value in kept]

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    left.plot(*curve("train/loss_step"), color=SURROGATE, alpha=0.3, linewidth=0.8, label="step")
    left.plot(*curve("train/loss_epoch"), color=SURROGATE, label="mean of the epoch")
    left.set_title("Training loss")
    right.plot(*curve("val/rollout_relative_l2"), color=SURROGATE, marker=".", label="surrogate, whole rollout")
    right.plot(*curve("val/one_step_relative_l2"), color=SURROGATE, linestyle=":", label="surrogate, one step")
    right.plot(*curve("val/persistence_relative_l2"), color=PERSISTENCE, linestyle="--", label="persistence")
    right.set_title("Validation: relative L2 error")
    for ax in (left, right):
        # A logarithmic axis of nothing warns and shows nothing.
        if any(len(np.asarray(line.get_ydata())) for line in ax.lines):
            ax.set_yscale("log")
        ax.set_xlabel("optimiser step")
        ax.legend()
    return figure
