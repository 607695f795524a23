"""Pictures of one trajectory: truth, prediction, difference, whatever the number of space dimensions."""

from dataclasses import replace
from typing import Literal

import matplotlib
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy import ndarray
from torch import Tensor

from duhamel.fields import Grid, Parameters, Problem, Quantity
from duhamel.metrics import Samples

N_SNAPSHOTS = 4
Box = tuple[float, float, float, float]
ROWS = ("truth", "prediction", "prediction \N{MINUS SIGN} truth")


def label(quantity: Quantity) -> str:
    return f"{quantity.name} [{quantity.unit}]" if quantity.unit else quantity.name


def plot_sample(sample: Samples, problem: Problem, *, grid: Grid, title: str) -> Figure:
    """The one trajectory held by `sample`; the plot follows from its dimension and from whether it has time.

    1-D: images over time and space. 2-D: snapshots. 3-D: snapshots of the plane in the middle of the last axis.
    Stationary: truth, prediction and difference side by side, after the coefficients.
    """
    if len(sample.index) != 1:
        raise ValueError(f"one trajectory makes a plot, got {len(sample.index)}")
    if grid.ndim == 1:
        plot = _lines if sample.target.shape[1] == 1 else _space_time
        figure = plot(sample, problem, grid)
    elif problem.steady:
        figure = _stationary(_plane(sample, grid), problem, grid)
    else:
        figure = _snapshots(_plane(sample, grid), problem, grid)
    plane = f", plane z = {float(_middle(grid)):.3g}" if grid.ndim == 3 else ""
    figure.suptitle(title + plane)
    return figure


def _array(u: Tensor) -> ndarray:
    return u.detach().double().cpu().numpy()


def _middle(grid: Grid) -> Tensor:
    return grid.coordinates()[-1][grid.shape[-1] // 2]


def _plane(sample: Samples, grid: Grid) -> Samples:
    """Fields over the first two axes: 2-D as they are, 3-D in the middle of the last axis."""
    if grid.ndim == 2:
        return sample
    middle = grid.shape[-1] // 2
    return replace(
        sample,
        initial=sample.initial[..., middle],
        prediction=sample.prediction[..., middle],
        target=sample.target[..., middle],
        params=Parameters(sample.params.scalars, sample.params.fields[..., middle]),
    )


def _field_norm(truth: ndarray) -> Normalize:
    """Limits of the truth alone: a prediction that has diverged must not wash it out."""
    low, high = float(np.nanmin(truth)), float(np.nanmax(truth))
    return Normalize(low, high if high > low else low + 1)


def _difference_norm(truth: ndarray, difference: ndarray) -> Normalize:
    """Symmetric about zero; no wider than twice the range of the truth."""
    finite = np.abs(difference[np.isfinite(difference)])
    largest = float(finite.max()) if finite.size else 0.0
    cap = 2 * float(np.nanmax(truth) - np.nanmin(truth)) or largest
    limit = min(largest, cap) or 1.0
    return Normalize(-limit, limit)


def _colours(name: str) -> Colormap:
    """A colour map that shows what is not finite in grey."""
    return matplotlib.colormaps[name].with_extremes(bad="0.6")


def _image(
    axes: Axes, values: ndarray, *, norm: Normalize, cmap: str, extent: Box, aspect: Literal["auto", "equal"]
) -> AxesImage:
    shown = np.where(np.isfinite(values), values, np.nan)
    return axes.imshow(
        shown.T,
        origin="lower",
        norm=norm,
        cmap=_colours(cmap),
        extent=extent,
        aspect=aspect,
        interpolation="nearest",
    )


def _extend(norm: Normalize, values: ndarray) -> str:
    """Which ends of a colour bar are arrows, because something lies beyond them."""
    assert norm.vmin is not None and norm.vmax is not None
    below, above = bool((values < norm.vmin).any()), bool((values > norm.vmax).any())
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]


def _ends(grid: Grid, axis: int) -> tuple[float, float]:
    """Outer edges of the first and last pixel of an axis, so that samples lie in the middle of theirs."""
    x, h = grid.coordinates()[axis], grid.spacing[axis]
    return float(x[0]) - h / 2, float(x[-1]) + h / 2


def _box(grid: Grid) -> Box:
    return *_ends(grid, 0), *_ends(grid, 1)


def _picture_size(grid: Grid) -> tuple[float, float]:
    """Width and height in inches of one picture in the proportions of the domain, as far as labels leave room."""
    longest = max(grid.extent[:2])
    return max(1.5, 2.6 * grid.extent[0] / longest), max(1.0, 2.6 * grid.extent[1] / longest)


def _space_time(sample: Samples, problem: Problem, grid: Grid) -> Figure:
    n = len(problem.channels)
    figure = Figure(figsize=(12, 0.6 + 2.9 * n), layout="constrained")
    all_axes = figure.subplots(n, 3, squeeze=False, sharex=True, sharey=True)
    n_steps = sample.target.shape[1]
    dt = problem.dt
    extent = (-dt / 2, (n_steps + 0.5) * dt, *_ends(grid, 0))
    start = sample.initial[:, None]
    for c, channel in enumerate(problem.channels):
        truth, prediction = (_array(torch.cat((start, u), 1)[0, :, c]) for u in (sample.target, sample.prediction))
        difference = prediction - truth
        norm, difference_norm = _field_norm(truth), _difference_norm(truth, difference)
        axes = all_axes[c]
        for ax, values in zip(axes, (truth, prediction), strict=False):
            image = _image(ax, values, norm=norm, cmap="viridis", extent=extent, aspect="auto")
        figure.colorbar(image, ax=list(axes[:2]), label=label(channel), extend=_extend(norm, prediction), pad=0.01)
        image = _image(axes[2], difference, norm=difference_norm, cmap="RdBu_r", extent=extent, aspect="auto")
        figure.colorbar(image, ax=axes[2], label=label(channel), extend=_extend(difference_norm, difference), pad=0.02)
        axes[0].set_ylabel("x")
    for ax, name in zip(all_axes[0], ROWS, strict=True):
        ax.set_title(name)
    for ax in all_axes[-1]:
        ax.set_xlabel("t")
    return figure


def _lines(sample: Samples, problem: Problem, grid: Grid) -> Figure:
    n = len(problem.channels)
    figure = Figure(figsize=(11, 0.6 + 2.9 * n), layout="constrained")
    all_axes = figure.subplots(n, 2, squeeze=False, sharex=True)
    x = _array(grid.coordinates()[0])
    for c, channel in enumerate(problem.channels):
        truth, prediction = (_array(u[0, -1, c]) for u in (sample.target, sample.prediction))
        left, right = all_axes[c]
        left.plot(x, truth, color="black", label="truth")
        left.plot(x, prediction, color="tab:red", linestyle="--", label="prediction")
        left.set_ylabel(label(channel))
        left.legend()
        right.plot(x, prediction - truth, color="tab:blue")
        right.axhline(0, color="black", linewidth=0.5)
        right.set_title(ROWS[2])
    for ax in all_axes[-1]:
        ax.set_xlabel("x")
    return figure


def _snapshots(sample: Samples, problem: Problem, grid: Grid) -> Figure:
    n_steps = sample.target.shape[1]
    steps = sorted(set(np.linspace(1, n_steps, N_SNAPSHOTS).round().astype(int).tolist()))
    n = len(problem.channels)
    width, height = _picture_size(grid)
    size = (max((width + 0.3) * len(steps) + 0.8, 6.0), (3 * height + 2.2) * n + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    blocks = figure.subfigures(n, 1, squeeze=False)[:, 0]
    for c, channel in enumerate(problem.channels):
        axes = blocks[c].subplots(3, len(steps), squeeze=False, sharex=True, sharey=True)
        truth, prediction = (_array(u[0, :, c]) for u in (sample.target, sample.prediction))
        difference = prediction - truth
        shown = [step - 1 for step in steps]
        difference_norm = _difference_norm(truth[shown], difference[shown])
        for j, step in enumerate(shown):
            norm = _field_norm(truth[step])
            for i, values in enumerate((truth, prediction)):
                image = _image(axes[i, j], values[step], norm=norm, cmap="viridis", extent=_box(grid), aspect="equal")
            arrows = _extend(norm, prediction[step])
            blocks[c].colorbar(image, ax=list(axes[:2, j]), extend=arrows, location="bottom", pad=0.02, aspect=30)
            image = _image(
                axes[2, j], difference[step], norm=difference_norm, cmap="RdBu_r", extent=_box(grid), aspect="equal"
            )
            axes[0, j].set_title(f"t = {(step + 1) * problem.dt:.3g}")
            axes[2, j].set_xlabel("x")
        arrows = _extend(difference_norm, difference[shown])
        blocks[c].colorbar(image, ax=list(axes[2]), extend=arrows, location="bottom", pad=0.02, aspect=40, shrink=0.7)
        for ax, name in zip(axes[:, 0], ROWS, strict=True):
            ax.set_ylabel(f"{name}\n\ny")
        blocks[c].suptitle(label(channel), x=0.02, ha="left", fontweight="bold", fontsize="medium")
    return figure


def _stationary(sample: Samples, problem: Problem, grid: Grid) -> Figure:
    coefficients = problem.coefficients
    n = len(problem.channels)
    columns = len(coefficients) + 3
    width, height = _picture_size(grid)
    figure = Figure(figsize=((width + 0.7) * columns, (height + 1.5) * n + 0.4), layout="constrained")
    all_axes = figure.subplots(n, columns, squeeze=False, sharex=True, sharey=True)
    for c, channel in enumerate(problem.channels):
        axes = all_axes[c]
        for k, coefficient in enumerate(coefficients):
            values = _array(sample.params.fields[0, k])
            _one(figure, axes[k], values, norm=_field_norm(values), cmap="cividis", title=label(coefficient), grid=grid)
        truth, prediction = (_array(u[0, -1, c]) for u in (sample.target, sample.prediction))
        difference = prediction - truth
        pictures: list[tuple[ndarray, Normalize, str]] = [
            (truth, _field_norm(truth), "viridis"),
            (prediction, _field_norm(truth), "viridis"),
            (difference, _difference_norm(truth, difference), "RdBu_r"),
        ]
        for ax, name, (values, norm, cmap) in zip(axes[len(coefficients) :], ROWS, pictures, strict=True):
            _one(figure, ax, values, norm=norm, cmap=cmap, title=f"{label(channel)}: {name}", grid=grid)
        axes[0].set_ylabel("y")
    for ax in all_axes[-1]:
        ax.set_xlabel("x")
    return figure


def _one(
    figure: Figure,
    axes: Axes,
    values: Float[ndarray, "x y"],
    *,
    norm: Normalize,
    cmap: str,
    title: str,
    grid: Grid,
) -> None:
    image = _image(axes, values, norm=norm, cmap=cmap, extent=_box(grid), aspect="equal")
    figure.colorbar(image, ax=axes, location="bottom", extend=_extend(norm, values), pad=0.02)
    axes.set_title(title, fontsize="medium")
