"""What a posterior looks like: truth, mean, standard deviation and a band at a cut; traces; sensors; marginals."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor

from duhamel.fields import Grid
from duhamel.inverse.observation import Points
from duhamel.inverse.posterior import Functional, Posterior
from duhamel.inverse.problem import InverseProblem


def write_figures(
    folder: Path, problem: InverseProblem, found: Posterior, *, truth: Float[Tensor, "1 dim"] | None = None
) -> list[Path]:
    """One PNG for each inferred field, one for all numbers, one of traces; returns their paths.

    A result that failed a gate has its mean drawn, and no band.
    """
    stem = found.method.split(",")[0].replace(" ", "_")
    written = []
    values = problem.prior.values(found.draws[:1], problem.grid)
    inferred = {name for name, where in problem.prior.slices.items() if where.stop > where.start}
    for name in (n for n, value in values.items() if n in inferred and value.ndim > 1):
        figure = _field(problem, found, name, truth)
        written.append(_saved(figure, folder / f"{stem}_{name}.png"))
    scalars = [n for n, value in values.items() if n in inferred and value.ndim == 1]
    if scalars:
        written.append(_saved(_numbers(problem, found, scalars, truth), folder / f"{stem}_numbers.png"))
    if found.samples.shape[1] > 1:
        written.append(_saved(_trace(found), folder / f"{stem}_trace.png"))
    return written


def _field(problem: InverseProblem, found: Posterior, name: str, truth: Tensor | None) -> plt.Figure:
    grid = problem.grid

    def field(z: Tensor) -> Tensor:
        return problem.prior.values(z, grid)[name]

    point = len(found.draws) < 2
    shown = {"truth": None if truth is None else field(truth)[0], "mean": found.mean(field)}
    if not point:
        shown["standard deviation"] = found.std(field)
    panels = {title: u for title, u in shown.items() if u is not None}
    figure, axes = plt.subplots(1, len(panels) + 1 if grid.ndim > 1 else 1, figsize=(16, 3.6), squeeze=False)
    if grid.ndim > 1:
        alike = [u for title, u in panels.items() if title != "standard deviation"]
        low, high = min(float(u.min()) for u in alike), max(float(u.max()) for u in alike)
        for axis, (title, u) in zip(axes[0], panels.items(), strict=False):
            _image(axis, u, grid, title, (None, None) if title == "standard deviation" else (low, high))
            _sensors(axis, problem)
    _cut(axes[0][-1], grid, found, field, None if truth is None else field(truth)[0], point=point)
    figure.suptitle(f"{name}: {found.method} ({found.status})")
    return figure


def _image(axis: Axes, u: Tensor, grid: Grid, title: str, limits: tuple[float | None, float | None]) -> None:
    while u.ndim > 2:  # the middle of every axis past the second
        u = u[..., u.shape[-1] // 2]
    (x0, y0), (lx, ly) = grid.origin[:2], grid.extent[:2]
    image = axis.imshow(u.T, origin="lower", extent=(x0, x0 + lx, y0, y0 + ly), vmin=limits[0], vmax=limits[1])
    axis.figure.colorbar(image, ax=axis)
    axis.set_title(title)


def _sensors(axis: Axes, problem: InverseProblem) -> None:
    if isinstance(problem.observation, Points):
        x, y = torch.as_tensor(problem.observation.positions)[:, :2].T
        axis.plot(x, y, "w.", markeredgecolor="k", markersize=6)


def _cut(axis: Axes, grid: Grid, found: Posterior, field: Functional, truth: Tensor | None, *, point: bool) -> None:
    """Along the first axis, through the middle of all others."""

    def line(u: Tensor) -> Tensor:
        for n in grid.shape[:0:-1]:
            u = u[..., n // 2]
        return u

    x = grid.coordinates()[0]
    axis.plot(x, line(found.mean(field)), label="mean")
    if not point and found.passed:
        low, high = found.interval(lambda z: line(field(z)))
        axis.fill_between(x, low, high, alpha=0.3, label="90 % band")
    if truth is not None:
        axis.plot(x, line(truth), "k--", label="truth")
    axis.set_title("cut" if grid.ndim > 1 else "")
    axis.legend()


def _numbers(problem: InverseProblem, found: Posterior, names: list[str], truth: Tensor | None) -> plt.Figure:
    figure, axes = plt.subplots(1, len(names), figsize=(4 * len(names), 3), squeeze=False)
    values = problem.prior.values(found.draws, problem.grid)
    true = None if truth is None else problem.prior.values(truth, problem.grid)
    for axis, name in zip(axes[0], names, strict=True):
        axis.hist(values[name], bins=40, density=True, weights=found.draw_weights)
        if true is not None:
            axis.axvline(float(true[name]), color="k", linestyle="--", label="truth")
            axis.legend()
        axis.set_title(f"{name}, {found.method} ({found.status})")
    return figure


def _trace(found: Posterior) -> plt.Figure:
    figure, axis = plt.subplots(figsize=(8, 3))
    axis.plot(found.samples[:4, :, 0].T, linewidth=0.7)
    axis.set(xlabel="draw", ylabel="$z_1$", title=f"{found.method}: first coordinate of up to four chains")
    return figure


def _saved(figure: plt.Figure, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path
