"""The figures of a report as pictures, for papers and slides."""

from pathlib import Path

from matplotlib.figure import Figure

from duhamel.benchmark.comparison import BEST
from duhamel.benchmark.result import Result

MARKS = {"solver": ("o", "0.55"), "baseline": ("s", "tab:orange"), "surrogate": ("*", "tab:red")}


def write_figures(folder: Path, result: Result) -> list[Path]:
    """work_precision.png and, for evolutions, error_over_time.png in `folder`; returns their paths."""
    drawn = {"work_precision": _work_precision(result)}
    if result.n_steps > 1:
        drawn["error_over_time"] = _error_over_time(result)
    paths = []
    for name, figure in drawn.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=130)
    return paths


def _work_precision(result: Result) -> Figure:
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.subplots()
    points = {
        s.name: (min(c.median for c in s.costs), s.median_error, s.kind)
        for s in result.settings
        if s.costs and s.median_error
    }
    for kind, (marker, colour) in MARKS.items():
        mine = [(x, y) for x, y, k in points.values() if k == kind]
        size = 180 if kind == "surrogate" else 30
        axes.scatter([x for x, _ in mine], [y for _, y in mine], marker=marker, color=colour, s=size, label=kind)
    front = [points[name][:2] for name in result.front[str(BEST)] if name in points]
    if front:
        axes.plot(
            [x for x, _ in front], [y for _, y in front], color="black", linewidth=1, label="front of the solvers"
        )
    for name, (x, y, kind) in points.items():
        if kind != "solver":
            axes.annotate(name, (x, y), textcoords="offset points", xytext=(8, 6))
    axes.axhline(result.truth.estimated_error, color="tab:green", linestyle=":", label="truth")
    axes.set(xscale="log", yscale="log", xlabel="seconds a sample, best batch size", ylabel="median relative L2 error")
    axes.set_title(result.title)
    axes.legend()
    return figure


def _error_over_time(result: Result) -> Figure:
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = figure.subplots()
    steps = [result.dt * (i + 1) for i in range(result.n_steps)]
    against = {n for c in result.comparisons if c.batch == BEST for n in c.error_at_equal_cost.against}
    for s in result.settings:
        if s.error_by_time and (s.kind != "solver" or s.name in against):
            values = [float("nan") if e is None else e for e in s.error_by_time]
            axes.plot(steps, values, label=s.name, linestyle="--" if s.kind == "solver" else "-")
    axes.set(yscale="log", xlabel="t", ylabel="median relative L2 error of a state", title=result.title)
    axes.legend()
    return figure
