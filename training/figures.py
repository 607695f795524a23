"""One page that shows, after a run, what its surrogate can do."""

import base64
from pathlib import Path

import torch
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from duhamel.fields import Problem
from duhamel.metrics import Panel
from duhamel.training.curve_plots import plot_errors, plot_parameters, plot_spectra, plot_training
from duhamel.training.field_plots import plot_sample

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; }
td { padding: 0.1rem 1.5rem 0.1rem 0; border-bottom: 1px solid #ddd; }
td + td { text-align: right; font-variant-numeric: tabular-nums; }
</style>
<h1>{{ title }}</h1>
<p>{{ summary }}</p>
{% for caption, data in pictures %}
<h2>{{ caption }}</h2>
<img alt="{{ caption }}" src="data:image/png;base64,{{ data }}">
{% endfor %}
<h2>All figures</h2>
<table>
{% for name, value in figures.items() %}<tr><td>{{ name }}</td><td>{{ "%.4g" | format(value) }}</td></tr>
{% endfor %}</table>
</html>
"""


def write_figures(folder: Path, panel: Panel, problem: Problem) -> list[Path]:
    """Write `folder`/figures/*.png and `folder`/figures.html, which holds them all and needs no other file.

    The training curve is drawn where `folder` holds metrics.csv. Returns the paths written, the page first.

    problem: gives names and units.
    """
    pictures = _pictures(folder, panel, problem)
    drawings = folder / "figures"
    drawings.mkdir(parents=True, exist_ok=True)
    paths, encoded = [], []
    for name, (caption, figure) in pictures.items():
        path = drawings / f"{name}.png"
        figure.savefig(path, dpi=110)
        paths.append(path)
        encoded.append((caption, base64.b64encode(path.read_bytes()).decode("ascii")))
    figures = panel.compute()
    page = folder / "figures.html"
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(PAGE)
    page.write_text(
        template.render(
            title=f"{problem.equation or 'Surrogate'}: test results",
            summary=_summary(panel, figures),
            pictures=encoded,
            figures=dict(sorted(figures.items())),
        ),
        encoding="utf-8",
    )
    return [page, *paths]


def _pictures(folder: Path, panel: Panel, problem: Problem) -> dict[str, tuple[str, Figure]]:
    """Caption and figure by file name, in the order of the page."""
    curves, samples = panel.curves(), panel.samples()
    pictures = {"errors": ("Error", plot_errors(curves, problem, threshold=panel.threshold))}
    if problem.scalars:
        pictures["parameters"] = ("Error by parameter", plot_parameters(curves, problem))
    pictures["spectra"] = ("Scales", plot_spectra(curves, problem))
    last = len(samples.index) - 1
    for i, (index, error) in enumerate(zip(samples.index.tolist(), samples.error.tolist(), strict=True)):
        worst = i == last
        values = zip(problem.scalars, samples.params.scalars[i].tolist(), strict=True)
        title = f"Test sample {index}: relative L2 error {error:.3g}"
        title += "".join(f", {quantity.name} = {value:.3g}" for quantity, value in values)
        caption = f"The worst of {len(curves.trajectory_error)} test samples" if worst else f"Test sample {index}"
        figure = plot_sample(samples.select(torch.tensor([i])), problem, grid=panel.grid, title=title)
        pictures["worst" if worst else f"sample_{index}"] = (caption, figure)
    if (folder / "metrics.csv").is_file():
        pictures["training"] = ("Training", plot_training(folder / "metrics.csv"))
    return pictures


def _summary(panel: Panel, figures: dict[str, float]) -> str:
    error, still = figures["rollout_relative_l2"], figures["persistence_relative_l2"]
    n_steps = len(panel.curves().steps)
    if panel.problem.steady:
        return f"Mean relative L2 error {error:.3g}."
    return (
        f"Mean relative L2 error of rollouts of {n_steps} steps: {error:.3g} (persistence, the initial state repeated: "
        f"{still:.3g}). A state's error stays below {panel.threshold:g} for {figures['rollout_horizon']:.3g} steps on "
        f"average; {100 * figures['rollout_horizon_censored']:.0f} % of samples keep it for all steps."
    )
