"""One page that holds everything and needs nothing: report.html, offline, on a desk or a phone."""

import importlib.resources
from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
import plotly.io
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from duhamel.benchmark import plots
from duhamel.benchmark.animations import animation
from duhamel.benchmark.comparison import BEST
from duhamel.benchmark.result import Document, Interval, Ratio, Result, SettingResult
from duhamel.benchmark.rollouts import Rollouts
from duhamel.benchmark.verdict import count, number, percent, seconds

LIBRARY = "sortable.min.js"  # tofsjonas/sortable 4.1.7, public domain
CONFIG = {"responsive": True, "displaylogo": False, "displayModeBar": False}


def write_report(path: Path, document: Document, rollouts: Rollouts | None) -> None:
    """Writes the page. rollouts: None where no surrogate survived."""
    result = document.result
    drawn = {
        "work_precision": plots.work_precision(result),
        "error_over_time": plots.error_over_time(result),
        "spectra": plots.spectra(result),
        "by_parameter": plots.by_parameter(result),
    }
    moving = {}
    if rollouts is not None:
        moving = {f"rollout_{i}": (s.caption, animation(rollouts, s)) for i, s in enumerate(rollouts.samples)}
    page = environment().get_template("report.html.j2").render(
        title=result.title,
        plotly=get_plotlyjs(),
        sortable=script(),
        result=result,
        origin=document.origin,
        best=BEST,
        plots={name: _html(name, figure) for name, figure in drawn.items() if figure is not None},
        rollouts={name: (caption, _html(name, figure)) for name, (caption, figure) in moving.items()},
        panel=_panel(result),
        parameters=_parameters,
    )  # fmt: skip
    path.write_text(page, encoding="utf-8")


def environment() -> Environment:
    """Templates of this folder, with the filters that print numbers."""
    made = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader("duhamel.benchmark", ""),
    )
    made.filters.update(percent=percent, seconds=seconds, number=number, count=count, interval=_interval)
    return made


def script() -> str:
    """The library that sorts tables."""
    return importlib.resources.files(__package__).joinpath(LIBRARY).read_text(encoding="utf-8")


def _html(name: str, figure: go.Figure) -> str:
    """A <div> and the script that draws it."""
    drawn: str = plotly.io.to_html(
        figure, full_html=False, include_plotlyjs=False, div_id=name, config=CONFIG, auto_play=False
    )
    return drawn


def _panel(result: Result) -> tuple[list[str], list[tuple[SettingResult, Mapping[str, Interval]]]]:
    """Names of all figures, and the settings that have them: surrogates, baselines, the front of the solvers."""
    front = {n for names in result.front.values() for n in names}
    rows = [s for s in result.settings if s.accuracy and (s.kind != "solver" or s.name in front)]
    names = list(dict.fromkeys(n for s in rows for n in s.accuracy))
    return names, [(s, s.accuracy) for s in rows]


def _interval(x: Interval | Ratio | None) -> str:
    if x is None or x.value is None:
        return "–"
    ends = (
        f" [{number(x.low)}, {number(x.high)}]" if x.low is not None and x.high is not None and x.low != x.high else ""
    )
    return number(x.value) + ends


def _parameters(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items()) or "–"
