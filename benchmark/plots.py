"""Figures of the report: interactive, in one style, narrow enough for a phone."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from duhamel.benchmark.comparison import BEST
from duhamel.benchmark.result import Cost, Number, Result, SettingResult
from duhamel.benchmark.verdict import percent, seconds

# Okabe and Ito's colours, which the colour-blind tell apart; the truth is black, solvers are grey.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY, FRONT = "#9aa3ad", "#3c4650"
SYMBOLS = {"surrogate": "star", "solver": "circle", "baseline": "square"}
LEGEND = {"orientation": "h", "yanchor": "top", "y": -0.26, "xanchor": "left", "x": 0}


def colours(result: Result) -> Mapping[str, str]:
    """Of every contender that is no solver, by setting; the same in all figures."""
    others = [s.name for s in result.settings if s.kind != "solver"]
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(others)}


def styled(figure: go.Figure, *, height: int, x: str, y: str, log: str = "") -> go.Figure:
    """log: the axes that are logarithmic, of "xy"."""
    figure.update_layout(
        height=height, template="plotly_white", margin={"l": 58, "r": 12, "t": 16, "b": 48}, legend=LEGEND,
        hoverlabel={"align": "left"}, font={"family": "system-ui, sans-serif", "size": 13},
    )  # fmt: skip
    power = {"exponentformat": "power", "dtick": 1}
    figure.update_xaxes(title=x, **({"type": "log", **power} if "x" in log else {}))
    figure.update_yaxes(title=y, **({"type": "log", **power} if "y" in log else {}))
    return figure


def work_precision(result: Result) -> go.Figure:
    """Error over seconds a sample; a menu chooses the batch size, the best of each setting first."""
    figure, menu = go.Figure(), []
    batches = [BEST, *result.batch_sizes]
    owners: list[int] = []
    for batch in batches:
        traces = _points(result, batch)
        owners += [batch] * len(traces)
        figure.add_traces(traces)
    for trace, owner in zip(figure.data, owners, strict=True):
        trace.visible = owner == BEST
    for batch in batches:
        label = "best batch of each" if batch == BEST else f"batches of {batch}"
        menu.append({"label": label, "method": "update", "args": [{"visible": [*(o == batch for o in owners), True]}]})
    everywhere = [c.median for s in result.settings for c in s.costs]
    figure.add_scatter(
        x=[min(everywhere), max(everywhere)], y=[result.truth.estimated_error] * 2, mode="lines",
        name="error of the truth", line={"dash": "dot", "color": "black", "width": 1}, hoverinfo="skip",
    )  # fmt: skip
    styled(figure, height=480, x="seconds a sample", y="relative L2 error", log="xy")
    figure.update_layout(
        updatemenus=[{"buttons": menu, "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom", "pad": {"b": 4}}],
        margin={"t": 56},
    )
    return figure


def _points(result: Result, batch: int) -> list[go.Scatter]:
    """One trace a contender, and the front through them."""
    named = {s.name: s for s in result.settings}
    palette = colours(result)
    traces = []
    for contender in dict.fromkeys(s.contender for s in result.settings):
        mine = [
            (s, c) for s in result.settings if s.contender == contender and (c := _cost(s, batch)) and s.median_error
        ]
        if not mine:
            continue
        kind = mine[0][0].kind
        colour = GREY if kind == "solver" else palette[mine[0][0].name]
        traces.append(
            go.Scatter(
                x=[c.median for _, c in mine],
                y=[s.median_error for s, _ in mine],
                mode="markers",
                name=contender,
                marker={
                    "symbol": SYMBOLS[kind],
                    "size": 17 if kind == "surrogate" else 8,
                    "color": colour,
                    "line": {"width": 1, "color": "white"},
                },
                error_y=_band(mine) if kind == "surrogate" else None,
                text=[_hover(s, c) for s, c in mine],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    front = [(s.median_error, c.median) for n in result.front[str(batch)] if (c := _cost(s := named[n], batch))]
    traces.append(
        go.Scatter(
            x=[t for _, t in front],
            y=[e for e, _ in front],
            mode="lines",
            name="front of the solvers",
            line={"color": FRONT, "width": 1.5},
            hoverinfo="skip",
        )  # fmt: skip
    )
    return traces


def _band(mine: Sequence[tuple[SettingResult, Cost]]) -> dict[str, object]:
    """From the median up to the 95th percentile of the samples."""
    up = [max(0.0, (s.p95_error or 0.0) - (s.median_error or 0.0)) for s, _ in mine]
    return {"type": "data", "array": up, "arrayminus": [0.0] * len(up), "thickness": 1, "width": 4}


def _cost(setting: SettingResult, batch: int) -> Cost | None:
    if batch == BEST:
        return min(setting.costs, key=lambda c: c.median, default=None)
    return next((c for c in setting.costs if c.batch == batch), None)


def _hover(s: SettingResult, c: Cost) -> str:
    return (
        f"<b>{s.contender}</b> {' '.join(f'{k}={v}' for k, v in s.knobs.items())}<br>"
        f"median error {percent(s.median_error)}, 95 % of samples below {percent(s.p95_error)}<br>"
        f"{seconds(c.median)} a sample in batches of {c.batch} "
        f"({seconds(c.lower_quartile)} to {seconds(c.upper_quartile)}, {len(c.seconds)} repeats)"
    )


def error_over_time(result: Result) -> go.Figure | None:
    """Median error of the states along the rollout; None for stationary problems."""
    if result.n_steps < 2:
        return None
    figure = go.Figure()
    steps = [result.dt * (i + 1) for i in range(result.n_steps)]
    for s in _shown(result):
        figure.add_scatter(x=steps, y=s.error_by_time, name=s.name, mode="lines", line=_line(result, s))
    return styled(figure, height=400, x="t", y="median error of a state", log="y")


def spectra(result: Result) -> go.Figure:
    """Energy by wavenumber at the last state, truth and contenders."""
    figure = go.Figure()
    shells = list(range(len(result.truth.spectrum)))

    def positive(values: Sequence[Number]) -> list[Number]:
        return [v if v and v > 1e-30 else None for v in values]

    figure.add_scatter(
        x=shells[1:],
        y=positive(result.truth.spectrum[1:]),
        name="truth",
        mode="lines",
        line={"color": "black", "width": 3},
    )
    for s in _shown(result):
        if s.spectrum:
            values = positive(s.spectrum[1:])
            figure.add_scatter(x=shells[1:], y=values, name=s.name, mode="lines", line=_line(result, s))
    styled(figure, height=400, x="periods over the longest side", y="energy", log="xy")
    return figure.update_yaxes(dtick=None)


def by_parameter(result: Result) -> go.Figure | None:
    """Median error of the samples in each quarter of a parameter, surrogates and baselines; None without parameters."""
    figure = go.Figure()
    names = list(dict.fromkeys(b.parameter for s in result.settings for b in s.by_parameter))
    if not names:
        return None
    for s in result.settings:
        if s.kind == "solver" or not s.by_parameter:
            continue
        for name in names:
            mine = [b for b in s.by_parameter if b.parameter == name]
            label = s.name if len(names) == 1 else f"{s.name}, {name}"
            figure.add_scatter(
                x=[(b.low + b.high) / 2 for b in mine], y=[b.error for b in mine], name=label, mode="lines+markers",
                error_x={"type": "data", "array": [(b.high - b.low) / 2 for b in mine], "thickness": 1},
                line=_line(result, s),
            )  # fmt: skip
    return styled(figure, height=380, x=", ".join(names), y="median error", log="y").update_yaxes(dtick=None)


def _shown(result: Result) -> list[SettingResult]:
    """All that are no solvers, and the solver settings that cost as much as a surrogate."""
    against = {n for c in result.comparisons if c.batch == BEST for n in c.error_at_equal_cost.against}
    return [s for s in result.settings if s.error_by_time and (s.kind != "solver" or s.name in against)]


def _line(result: Result, s: SettingResult) -> dict[str, object]:
    if s.kind == "solver":
        return {"color": GREY, "dash": "dash", "width": 2}
    return {"color": colours(result)[s.name], "width": 2.5 if s.kind == "surrogate" else 1.5}
