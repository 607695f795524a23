"""What a posterior looks like: truth, mean, standard deviation and a band at a cut; traces; sensors; marginals."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from torch import Tensor

from duhamel.fields import Grid
from duhamel.inverse.observation import Points
from duhamel.inverse.posterior import Functional, Posterior
from duhamel.inverse.problem import InverseProblem

# What a logarithmic scale shows below the largest value.
DEPTH = 1e4


def write_figures(
    folder: Path,
    problem: InverseProblem,
    found: Posterior,
    *,
    truth: Float[Tensor, "1 dim"] | None = None,
    name: str | None = None,
) -> list[Path]:
    """One PNG for each inferred field, one for all numbers, one of traces; returns their paths.

    name: what file names begin with; the method's where none is given. Weighted draws are no chain: they have no trace.
    A result that failed a gate has its mean drawn, neither band nor deviation. Positive fields that span a decade have
    logarithmic scales, of four decades at most.
    """
    stem = name or found.method.split(",")[0].replace(" ", "_")
    written = []
    values = problem.prior.values(found.draws[:1], problem.grid)
    inferred = {part for part, where in problem.prior.slices.items() if where.stop > where.start}
    for part in (p for p, value in values.items() if p in inferred and value.ndim > 1):
        written.append(_saved(_field(problem, found, part, truth), folder / f"{stem}_{part}.png"))
    scalars = [p for p, value in values.items() if p in inferred and value.ndim == 1]
    if scalars:
        written.append(_saved(_numbers(problem, found, scalars, truth), folder / f"{stem}_numbers.png"))
    if found.samples.shape[1] > 1 and found.weights is None:
        written.append(_saved(_trace(found), folder / f"{stem}_trace.png"))
    return written


def _field(problem: InverseProblem, found: Posterior, name: str, truth: Tensor | None) -> plt.Figure:
    grid = problem.grid

    def field(z: Tensor) -> Tensor:
        return problem.prior.values(z, grid)[name]

    exact = None if truth is None else field(truth)[0]
    alike = {title: u for title, u in (("truth", exact), (_estimate(found), found.mean(field))) if u is not None}
    low, high = min(float(u.min()) for u in alike.values()), max(float(u.max()) for u in alike.values())
    log = high > 10 * low > 0
    norm = _norm(low, high, log=log)
    panels = {title: (u, norm) for title, u in alike.items()}
    if len(found.draws) > 1 and found.passed:
        spread = found.std(field)
        panels["standard deviation"] = spread, _norm(float(spread.min()), float(spread.max()), log=log)
    n = len(panels) + 1 if grid.ndim > 1 else 1
    figure, axes = plt.subplots(1, n, figsize=(4.2 * n if n > 1 else 8, 3.8), squeeze=False, layout="constrained")
    if grid.ndim > 1:
        for axis, (title, (u, scale)) in zip(axes[0], panels.items(), strict=False):
            _image(axis, u, grid, title, scale)
            _sensors(axis, problem)
    cut = axes[0][-1]
    _cut(cut, grid, found, field, exact)
    if grid.ndim == 1 and isinstance(problem.observation, Points):
        x = torch.as_tensor(problem.observation.positions)[:, 0]
        cut.plot(x, torch.zeros_like(x), "k^", transform=cut.get_xaxis_transform(), clip_on=False, label="sensors")
    cut.legend()
    cut.set(xlabel="x", ylabel=name)
    if log:
        cut.set(yscale="log", ylim=(norm.vmin, None))
    figure.suptitle(f"{name}: {_claim(found)}")
    return figure


def _estimate(found: Posterior) -> str:
    return "mean" if len(found.draws) > 1 else "mode"


def _norm(low: float, high: float, *, log: bool) -> Normalize:
    return LogNorm(max(low, high / DEPTH), high) if log and high > 0 else Normalize(low, high)


def _claim(found: Posterior) -> str:
    return f"{found.method} ({found.status}{'' if found.passed else ', refused by a gate'})"


def _image(axis: Axes, u: Tensor, grid: Grid, title: str, norm: Normalize) -> None:
    while u.ndim > 2:  # the middle of every axis past the second
        u = u[..., u.shape[-1] // 2]
    (x0, y0), (lx, ly) = grid.origin[:2], grid.extent[:2]
    image = axis.imshow(u.T, origin="lower", extent=(x0, x0 + lx, y0, y0 + ly), norm=norm)
    axis.figure.colorbar(image, ax=axis, shrink=0.85)
    axis.set(title=title, xlabel="x", ylabel="y")


def _sensors(axis: Axes, problem: InverseProblem) -> None:
    if isinstance(problem.observation, Points):
        x, y = torch.as_tensor(problem.observation.positions)[:, :2].T
        axis.plot(x, y, "w.", markeredgecolor="k", markersize=6)


def _cut(axis: Axes, grid: Grid, found: Posterior, field: Functional, truth: Tensor | None) -> None:
    """Along the first axis, through the middle of all others."""

    def line(u: Tensor) -> Tensor:
        for n in grid.shape[:0:-1]:
            u = u[..., n // 2]
        return u

    x = grid.coordinates()[0]
    axis.plot(x, line(found.mean(field)), label=_estimate(found))
    if len(found.draws) > 1 and found.passed:
        low, high = found.interval(lambda z: line(field(z)))
        axis.fill_between(x, low, high, alpha=0.3, label="90 % band")
    if truth is not None:
        axis.plot(x, line(truth), "k--", label="truth")
    middles = (f"{x[n // 2]:.2f}" for n, x in zip(grid.shape[1:], grid.coordinates()[1:], strict=True))
    axis.set_title(", ".join(f"{y} = {at}" for y, at in zip("yz", middles, strict=False)))


def _numbers(problem: InverseProblem, found: Posterior, names: list[str], truth: Tensor | None) -> plt.Figure:
    """Densities of all draws; of a point estimate, where it lies."""
    n = len(names)
    figure, axes = plt.subplots(1, n, figsize=(max(6, 4 * n), 3.2), squeeze=False, layout="constrained")
    values = problem.prior.values(found.draws, problem.grid)
    true = None if truth is None else problem.prior.values(truth, problem.grid)
    for axis, name in zip(axes[0], names, strict=True):
        if len(found.draws) > 1:
            axis.hist(values[name], bins=40, density=True, weights=found.draw_weights, label="posterior")
            axis.set_ylabel("density")
        else:
            mode = float(values[name])
            axis.axvline(mode, label="mode")
            axis.set_yticks([])
            axis.update_datalim([(0.5 * mode, 0), (1.5 * mode, 1)])
        if true is not None:
            axis.axvline(float(true[name]), color="k", linestyle="--", label="truth")
            axis.update_datalim([(float(true[name]), 0)])
        axis.autoscale_view()
        axis.set_xlabel(name)
        axis.locator_params(axis="x", nbins=5)
        axis.legend()
    figure.suptitle(_claim(found))
    return figure


def _trace(found: Posterior) -> plt.Figure:
    figure, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    axis.plot(found.samples[:4, :, 0].T, linewidth=0.7)
    axis.set(xlabel="draw", ylabel="$z_1$ of up to four chains")
    axis.set_title(found.method, fontsize="medium")
    return figure


def _saved(figure: plt.Figure, path: Path) -> Path:
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path
