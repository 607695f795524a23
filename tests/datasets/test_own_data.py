"""The worked example of docs/own_data.md works, and a mapping that cannot be meant says why."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from duhamel.datasets import open_source
from duhamel.datasets.mapping import KEYS
from duhamel.fields import Boundary, Centring

PAGE = (Path(__file__).parents[2] / "docs" / "own_data.md").read_text()


def example(name: str) -> str:
    found = re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", PAGE, flags=re.DOTALL)
    assert found, f"docs/own_data.md has no example {name}"
    return found.group(1)


@pytest.fixture
def worked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a reader followed the page."""
    monkeypatch.chdir(tmp_path)
    exec(compile(example("make"), "own_data.md", "exec"), {})
    Path("run.yaml").write_text(example("mapping"))
    return tmp_path


def test_the_worked_example(worked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(example("look"), "own_data.md", "exec"), {})
    assert "(5, 1, 64)" in capsys.readouterr().out
    source = open_source("run.h5", mapping="run.yaml")
    assert (source.n_trajectories, source.n_times, source.problem.dt) == (30, 21, 0.05)
    assert source.problem.scalars[0].positive and source.problem.grid.boundary == (Boundary.PERIODIC,)
    # The heat equation says whether time, space and parameter were understood: decay at rate nu (2 pi)^2.
    for i in (0, 29):
        u = source.read(i, 0, 21)[:, 0]
        (x,) = source.problem.grid.coordinates()
        decay = np.exp(-((2 * np.pi) ** 2) * source.scalars[i, 0] * source.problem.dt * np.arange(21))
        np.testing.assert_allclose(u, decay[:, None] * np.sin(2 * np.pi * x.numpy()), atol=1e-12)


def test_the_worked_example_trains_by_configuration(worked: Path) -> None:
    overrides = ["dataset=own", "dataset.path=run.h5", "dataset.mapping=run.yaml"]
    with initialize_config_module("duhamel.conf", version_base="1.3"):
        data = instantiate(compose("train", overrides=overrides).dataset)
    data.setup()
    assert next(iter(data.train_dataloader())).u.shape == (16, 21, 1, 64)


def test_the_page_names_every_key_and_condition() -> None:
    for word in (*KEYS, *Boundary, *Centring):
        assert f"`{word}`" in PAGE, word


@pytest.mark.parametrize("stored", ["sample time x y", "y x time sample", "time y sample x"])
def test_any_order_of_axes(tmp_path: Path, stored: str) -> None:
    order = stored.split()
    natural = ("sample", "time", "x", "y")
    u = np.random.default_rng(0).standard_normal((3, 5, 8, 6))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["u"] = u.transpose([natural.index(a) for a in order])
    grid = {"x": {"from": -1, "to": 1, "boundary": "wall"}, "y": {"from": 0, "to": 3, "boundary": "periodic"}}
    mapping = {"axes": order, "channels": {"u": "u"}, "grid": grid, "centring": "node", "dt": 0.5}
    source = open_source(tmp_path / "a.h5", mapping=mapping)
    np.testing.assert_array_equal(np.stack([source.read(i, 0, 5)[:, 0] for i in range(3)]), u)
    np.testing.assert_array_equal(source.read(2, 1, 4)[:, 0], u[2, 1:4])
    assert source.problem.grid.origin == (-1.0, 0.0) and source.problem.grid.extent == (2.0, 3.0)
    np.testing.assert_allclose(source.problem.grid.spacing, (2 / 7, 0.5))


def test_stationary_problem_with_a_boolean_coefficient_and_constants(tmp_path: Path) -> None:
    a = np.random.default_rng(0).random((4, 8)) > 0.5
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["sol"], file["mask"] = np.cumsum(a, axis=1).astype(float)[..., None], a
        file.attrs["Re"] = 100.0
    source = open_source(
        tmp_path / "a.h5",
        mapping={
            "axes": ["sample", "x"],
            "channels": {"w": {"dataset": "sol", "axes": ["sample", "x", "component"], "components": ["w0"]}},
            "coefficients": {"mask": "mask"},
            "scalars": {"reynolds": "@Re", "gravity": 9.81},
            "grid": {"x": {"from": 0, "to": 1, "boundary": "dirichlet"}},
            "centring": "cell",
            "dt": 0,
        },
    )
    assert source.problem.steady and [q.name for q in source.problem.channels] == ["w0"]
    np.testing.assert_array_equal(source.scalars, [[100.0, 9.81]] * 4)
    for i in range(4):
        np.testing.assert_array_equal(source.read_coefficients(i)[0], a[i])
        np.testing.assert_array_equal(source.read(i, 0, 2)[:, 0], [np.zeros(8), np.cumsum(a[i])])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axis": []}, r"unknown keys \['axis'\]"),
        (
            {"channels": {"temperature": "tmp"}},
            r"run.h5: the mapping names dataset 'tmp', the file holds \['nu', 'temp'",
        ),
        ({"axes": ["sample", "x"]}, r"run.h5, dataset 'temp': shape \(30, 21, 64\), axes \('sample', 'x'\)"),
        ({"axes": ["sample", "time", "z"]}, r"an axis each, out of \['component', 'sample', 'time', 'x'\]"),
        (
            {"scalars": {"diffusivity": "time"}},
            r"'time': scalar diffusivity of shape \(21,\), expected",
        ),
        ({"scalars": {"diffusivity": "@nu"}}, r"no root attribute 'nu'"),
        ({"dt": 0}, r"dt is 0 \(stationary\), but the channels hold 21 times"),
        ({"dt": "nu2"}, r"the mapping names dataset 'nu2'"),
        ({"centring": "corner"}, r"centring 'corner', allowed are \['cell', 'node'\]"),
        ({"grid": {"x": {"from": 0, "to": 1, "boundary": "round"}}}, r"boundary 'round', allowed are"),
        ({"grid": {"x": {"from": 0, "boundary": "wall"}}}, r"needs exactly from, to and boundary"),
        ({"minimum": {"nu": 0}}, r"the mapping bounds \['nu'\]"),
        ({"channels": {"t": {"dataset": "temp", "components": ["a"]}}}, r"an axis 'component' needs one name"),
        (
            {"coefficients": {"heat": {"dataset": "temp", "axes": ["sample", "time", "x"]}}},
            r"coefficients \['heat'\] vary in time; only constant ones are known",
        ),
    ],
)
def test_what_cannot_be_meant_is_told(worked: Path, change: dict[str, Any], message: str) -> None:
    mapping = {**yaml.safe_load(example("mapping")), **change}
    with pytest.raises(ValueError, match=message):
        open_source("run.h5", mapping=mapping)


def test_a_known_equation_brings_its_bounds(worked: Path) -> None:
    mapping = {k: v for k, v in yaml.safe_load(example("mapping")).items() if k != "minimum"}
    for equation, bounded in (("heat", True), ("warmth", False)):
        (diffusivity,) = open_source("run.h5", mapping={**mapping, "equation": equation}).problem.scalars
        assert diffusivity.positive == bounded
    above = {**mapping, "equation": "heat", "minimum": {"diffusivity": 0.01}}
    assert open_source("run.h5", mapping=above).problem.scalars[0].minimum == 0.01


def test_a_missing_key_is_named(worked: Path) -> None:
    Path("run.yaml").write_text("axes: [sample]\nchannels: {u: temp}\n")
    with pytest.raises(ValueError, match=r"mapping run.yaml: keys \['grid', 'centring', 'dt'\] are missing"):
        open_source("run.h5", mapping="run.yaml")
