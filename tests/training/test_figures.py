"""The page of figures: every kind of problem gives one, and what it shows is what the panel holds."""

import csv
import math
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid, Parameters, Problem, Quantity
from duhamel.metrics import Panel
from duhamel.training.curve_plots import plot_errors, plot_parameters, plot_spectra, plot_training
from duhamel.training.field_plots import plot_sample
from duhamel.training.figures import write_figures


def problem(
    ndim: int, *, dt: float = 0.5, channels: tuple[str, ...] = ("u",), scalars: tuple[str, ...] = ("nu",)
) -> Problem:
    grid = Grid(
        shape=(8, 6, 4)[:ndim],
        extent=(1.0, 2.0, 1.0)[:ndim],
        boundary=(Boundary.PERIODIC, Boundary.DIRICHLET, Boundary.PERIODIC)[:ndim],
        centring=Centring.CELL,
    )
    return Problem(
        equation="toy",
        channels=tuple(Quantity(name, "m") for name in channels),
        scalars=tuple(Quantity(name) for name in scalars),
        coefficients=() if dt else (Quantity("permeability"),),
        grid=grid,
        dt=dt,
    )


def filled(problem: Problem, *, n_samples: int = 4, diverged: float | None = None) -> Panel:
    """A panel of decaying waves, predicted 10 % too large."""
    n_steps = 1 if problem.steady else 5
    decay = torch.exp(-0.1 * torch.arange(n_steps + 1, dtype=torch.float64)).reshape(
        -1, *(1,) * (1 + problem.grid.ndim)
    )
    wave = torch.sin(2 * math.pi * problem.grid.mesh()[0])
    size = torch.arange(1.0, n_samples + 1, dtype=torch.float64).reshape(-1, *(1,) * (2 + problem.grid.ndim))
    truth = (size * decay * wave).repeat(1, 1, len(problem.channels), *(1,) * problem.grid.ndim)
    prediction = truth[:, 1:] * (1 + 0.1 * size / n_samples)
    if diverged is not None:
        prediction[1, -2:] = diverged
    params = Parameters(
        10.0 ** -torch.arange(n_samples, dtype=torch.float64)[:, None].repeat(1, len(problem.scalars)),
        torch.rand(
            n_samples,
            len(problem.coefficients),
            *problem.grid.shape,
            generator=torch.Generator().manual_seed(0),
            dtype=torch.float64,
        ),
    )
    panel = Panel(problem, n_kept=1)
    panel.update(prediction, truth[:, 1:], initial=truth[:, 0], params=params, grid=problem.grid)
    return panel


class Page(HTMLParser):
    """Pictures and table cells of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(dict(attrs)["src"] or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_page_holds_every_picture_and_figure(tmp_path: Path) -> None:
    with (tmp_path / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["step", "train/loss_step", "val/rollout_relative_l2"])
        writer.writeheader()
        writer.writerow({"step": 9, "train/loss_step": 0.5})
        writer.writerow({"step": 9, "val/rollout_relative_l2": 0.25})
    panel = filled(problem(1))
    page, *pictures = write_figures(tmp_path, panel, panel.problem)
    names = {path.stem for path in pictures}
    assert names == {"errors", "parameters", "spectra", "sample_0", "worst", "training"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    parsed = Page(page.read_text(encoding="utf-8"))
    assert len(parsed.pictures) == len(pictures)
    assert all(source.startswith("data:image/png;base64,") for source in parsed.pictures), "the page needs other files"
    for name, value in panel.compute().items():
        assert name in parsed.text
        assert f"{value:.4g}" in parsed.text


@pytest.mark.parametrize(
    ("case", "diverged"),
    [
        (problem(1, channels=("u", "v")), math.nan),
        (problem(1, dt=0.0), math.inf),
        (problem(2, channels=("u", "v")), math.inf),
        (problem(2, dt=0.0, scalars=()), math.nan),
        (problem(3), math.nan),
        (problem(3), None),
    ],
    ids=["1d", "1d stationary", "2d", "2d stationary", "3d", "3d finite"],
)
def test_every_kind_of_problem_is_drawn(case: Problem, diverged: float | None) -> None:
    panel = filled(case, diverged=diverged)
    worst = panel.samples().select(torch.tensor([1]))
    assert bool(worst.prediction.isfinite().all()) == (diverged is None)
    figure = plot_sample(worst, case, grid=panel.grid, title="a title")
    figure.draw_without_rendering()
    assert figure.get_suptitle().startswith("a title")
    curves = panel.curves()
    plot_errors(curves, case, threshold=0.2).draw_without_rendering()
    plot_spectra(curves, case).draw_without_rendering()


def test_space_time_images_show_truth_prediction_and_difference() -> None:
    panel = filled(problem(1))
    sample = panel.samples().select(torch.tensor([0]))
    axes = plot_sample(sample, panel.problem, grid=panel.grid, title="").axes
    images = [ax.images[0] for ax in axes if ax.images]
    shown = [np.asarray(image.get_array()) for image in images]
    truth = torch.cat((sample.initial[:, None], sample.target), 1)[0, :, 0].T.numpy()
    np.testing.assert_array_equal(shown[0], truth)
    np.testing.assert_allclose(shown[2], shown[1] - shown[0])
    assert images[0].get_clim() == images[1].get_clim(), "truth and prediction share their colours"
    low, high = images[2].get_clim()
    assert low == -high


def test_two_dimensional_pictures_have_x_to_the_right() -> None:
    panel = filled(problem(2))
    sample = panel.samples().select(torch.tensor([0]))
    figure = plot_sample(sample, panel.problem, grid=panel.grid, title="")
    image = next(ax.images[0] for block in figure.subfigs for ax in block.axes if ax.images)
    np.testing.assert_array_equal(np.asarray(image.get_array()), sample.target[0, 0, 0].T.numpy())
    assert image.get_extent() == pytest.approx([0.0, 1.0, 0.0, 2.0])


def test_a_diverged_prediction_keeps_the_colours_of_the_truth() -> None:
    clean, broken = (filled(problem(1), diverged=value) for value in (None, 1e6))
    limits = [
        plot_sample(p.samples().select(torch.tensor([1])), p.problem, grid=p.grid, title="")
        .axes[0]
        .images[0]
        .get_clim()
        for p in (clean, broken)
    ]
    # The worst sample of the one is sample 3, of the other sample 1: amplitudes 4 and 2.
    assert limits[0] == pytest.approx([2 * limit for limit in limits[1]])


def test_one_diverged_sample_does_not_empty_the_curves() -> None:
    panel = filled(problem(1), n_samples=9, diverged=math.nan)
    curves = panel.curves()
    axes = plot_errors(curves, panel.problem, threshold=0.2).axes
    surrogate = next(line for line in axes[0].lines if line.get_label() == "surrogate")
    assert np.isfinite(surrogate.get_ydata()).all()
    assert "1 diverged" in axes[1].get_title()
    prediction = next(
        line for line in plot_spectra(curves, panel.problem).axes[0].lines if "diction" in line.get_label()
    )
    assert np.isfinite(prediction.get_ydata()).all()


def test_error_by_parameter_shows_every_sample() -> None:
    panel = filled(problem(1, scalars=("nu", "beta")), n_samples=5, diverged=math.inf)
    axes = plot_parameters(panel.curves(), panel.problem).axes
    assert [ax.get_xlabel() for ax in axes] == ["nu", "beta"]
    assert sum(len(points.get_offsets()) for points in axes[0].collections) == 5
    assert axes[0].get_xscale() == "log", "values over four orders of magnitude"
    with pytest.raises(ValueError, match="without scalar parameters"):
        plot_parameters(panel.curves(), problem(1, scalars=()))


def test_training_curve_reads_the_columns_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,train/loss_step,val/rollout_relative_l2\n0,1,0.5,\n0,2,0.25,\n0,2,,0.125\n")
    left, right = plot_training(path).axes
    assert left.lines[0].get_xydata().tolist() == [[1.0, 0.5], [2.0, 0.25]]
    assert right.lines[0].get_xydata().tolist() == [[2.0, 0.125]]
