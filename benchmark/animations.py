"""Rollouts that move: lines in one dimension, images in two, a slider for time."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from numpy import ndarray
from plotly.subplots import make_subplots

from duhamel.benchmark.plots import COLOURS, GREY, styled
from duhamel.benchmark.rollouts import Rollouts, Shown

DIFFERENCE = "difference"


def animation(rollouts: Rollouts, shown: Shown) -> go.Figure:
    """One sample; with a slider where it has more than one state."""
    return _lines(rollouts, shown) if len(rollouts.axes) == 1 else _images(rollouts, shown)


def _lines(rollouts: Rollouts, shown: Shown) -> go.Figure:
    x = rollouts.axes[0].astype(np.float32)

    def traces(step: int) -> list[go.Scatter]:
        made = []
        for i, (name, states) in enumerate(shown.states.items()):
            colour = (*COLOURS, GREY)[(i - 1) % (len(COLOURS) + 1)]
            style = {"color": "black", "width": 3} if i == 0 else {"color": colour, "dash": "dash"}
            made.append(go.Scatter(x=x, y=states[step], name=name, mode="lines", line=style))
        return made

    figure = go.Figure(traces(-1))
    truth = next(iter(shown.states.values()))
    margin = 0.08 * float(np.ptp(truth)) or 1.0
    styled(figure, height=440, x="x", y=rollouts.channel)
    figure.update_yaxes(range=[float(truth.min()) - margin, float(truth.max()) + margin])
    return _moving(figure, rollouts, traces, below=0.16)


def _images(rollouts: Rollouts, shown: Shown) -> go.Figure:
    panels = _panels(shown)
    rows = -(-len(panels) // 2)
    # Lengths below are pixels over the height of all panels: however many there are, what lies between stays as large.
    height = 300 * rows
    figure = make_subplots(
        rows, 2, subplot_titles=[_title(n) for n in panels], horizontal_spacing=0.06, vertical_spacing=30 / height
    )
    truth = shown.states["truth"]
    widest = max((float(np.abs(p).max()) for n, p in panels.items() if n.startswith(DIFFERENCE)), default=1.0) or 1.0
    given = truth if shown.coefficient is None else shown.coefficient
    scales = [(float(given.min()), float(given.max())), (float(truth.min()), float(truth.max())), (-widest, widest)]

    def traces(step: int) -> list[go.Heatmap]:
        made = []
        for i, (name, states) in enumerate(panels.items()):
            difference = name.startswith(DIFFERENCE)
            low, high = scales[2 if difference else min(i, 1)]
            made.append(
                go.Heatmap(
                    x=rollouts.axes[0].astype(np.float32),
                    y=rollouts.axes[1].astype(np.float32),
                    z=states[step].T,
                    zmin=low,
                    zmax=high,
                    colorscale="RdBu_r" if difference else "Viridis",
                    showscale=i in (1, 3),
                    colorbar=_bar(difference, -10 / height),
                    xaxis=f"x{i + 1 if i else ''}",
                    yaxis=f"y{i + 1 if i else ''}",
                    hovertemplate="x %{x:.3g}, y %{y:.3g}: %{z:.4g}<extra>" + name + "</extra>",
                )  # fmt: skip
            )
        return made

    figure.add_traces(traces(-1))
    top, bottom = 34, 60
    styled(figure, height=height + top + bottom, x="", y="")
    figure.update_layout(margin={"l": 10, "r": 10, "t": top, "b": bottom})
    figure.update_annotations(font={"size": 12})
    for i in range(len(panels)):
        axis = str(i + 1) if i else ""
        figure.update_layout({f"yaxis{axis}": {"scaleanchor": f"x{axis}", "constrain": "domain"}})
        figure.update_layout({f"xaxis{axis}": {"constrain": "domain", "showticklabels": False}})
        figure.update_layout({f"yaxis{axis}": {"showticklabels": False}})
    return _moving(figure, rollouts, traces, below=50 / height)


def _panels(shown: Shown) -> Mapping[str, Float[ndarray, "time x y"]]:
    """In pairs: what is given and the truth, then everybody and his difference from it (solvers come last)."""
    truth, *others = shown.states.items()
    coefficient = shown.coefficient
    name, given = "initial state", truth[1][0]
    if coefficient is not None:
        name, given = f"coefficient, {coefficient.min():.3g} to {coefficient.max():.3g}", coefficient
    panels = {name: np.broadcast_to(given, truth[1].shape), "truth": truth[1]}
    for who, made in others:
        panels |= {who: made, f"{DIFFERENCE} of {who}": made - truth[1]}
    return panels


def _title(name: str) -> str:
    """Of the knobs the first and the precision: two panels share the width of a phone. The pointer shows all."""
    words = name.split()
    knobs = [w for w in words if "=" in w]
    return " ".join(w.removeprefix("dtype=") for w in words if w not in knobs[1:] or w.startswith("dtype="))


def _bar(difference: bool, y: float) -> dict[str, object]:
    """Two colour bars below, one for the fields, one for the difference."""
    return {
        "orientation": "h", "thickness": 10, "len": 0.44, "x": 0.77 if difference else 0.23, "y": y,
        "yanchor": "top", "tickfont": {"size": 10}, "nticks": 4, "exponentformat": "power",
    }  # fmt: skip


def _moving(
    figure: go.Figure, rollouts: Rollouts, traces: Callable[[int], Sequence[object]], *, below: float
) -> go.Figure:
    """Adds a frame a state; slider and button lie `below` the plots, a share of their height."""
    if len(rollouts.times) == 1:
        return figure
    figure.frames = [go.Frame(data=traces(i), name=str(i)) for i in range(len(rollouts.times))]
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    play = {**still, "mode": "immediate", "fromcurrent": True, "frame": {"duration": 120, "redraw": True}}
    steps = [
        {"method": "animate", "label": f"{t:.3g}", "args": [[str(i)], still]} for i, t in enumerate(rollouts.times)
    ]
    lost, least = figure.layout.margin.b, 130
    figure.update_layout(
        sliders=[
            {
                "active": len(steps) - 1, "steps": steps, "x": 0.2, "len": 0.8,
                "currentvalue": {"prefix": "t = ", "xanchor": "left"},
                "y": -below,
                "pad": {"t": 30}, "ticklen": 0, "minorticklen": 0, "font": {"size": 1, "color": "rgba(0,0,0,0)"},
            }
        ],
        updatemenus=[
            {
                "type": "buttons", "x": 0, "y": -below, "xanchor": "left", "yanchor": "top", "pad": {"t": 26},
                "showactive": False, "buttons": [{"label": "Play", "method": "animate", "args": [None, play]}],
            }
        ],
        height=figure.layout.height + least - lost, margin={"b": least}, legend={"y": 1.02, "yanchor": "bottom"},
    )  # fmt: skip
    figure.layout.sliders[0].currentvalue.font = {"size": 14, "color": "#222"}
    return figure
