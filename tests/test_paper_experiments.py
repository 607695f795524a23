"""Configurations of published sizes compose as they are and train when made small; every study's contenders compose."""

import json
import math
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module

import duhamel.training.precision
import duhamel.training.run  # noqa: F401 (their resolvers)
from tests.test_experiments import generated, run

CONF = Path(__file__).parents[1] / "conf"
NAMES = sorted(path.stem for path in (CONF / "experiment" / "paper").glob("*.yaml"))
STUDIES = sorted(path.stem for path in (CONF / "study").glob("*.yaml"))
QUICK = [
    "trainer.max_epochs=1",
    "trainer.max_steps=3",
    "trainer.enable_progress_bar=false",
    "~callbacks.progress",
    "figures=false",
]
# Less of everything but the layout: levels, norms and conditions stay.
MGNO = ["operator.width=4", "operator.n_layers=2", "operator.pre=[1,1,2]", "dataset.batch_size=4"]
NSM = ["operator.width=4", "operator.n_layers=1", "operator.modes=5", "dataset.n_test=2", "dataset.steps_per_epoch=3"]
CAPE = ["operator.width=4", "operator.n_modes=8", "operator.conditioning.n_modes=4", "dataset.batch_size=4"]
SMALL = {
    "cape_advection": [*CAPE, "dataset.space_stride=2"],
    "cape_burgers": [*CAPE, "dataset.space_stride=2"],
    "mgno_darcy_multiscale": MGNO,
    "mgno_darcy_rough": MGNO,
    "mgno_darcy_smooth": MGNO,
    "mgno_navier_stokes": [*MGNO, "dataset.n_times=4"],
    "nsm_navier_stokes": [*NSM, "operator.time_modes=4", "dataset.shape=[16,16]", "dataset.substeps=100"],
    "nsm_poisson": [*NSM, "dataset.shape=[8,8]"],
    "nsm_reaction": [*NSM, "operator.time_modes=4", "dataset.shape=[64]", "dataset.refine=2"],
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("paper")
    darcy = f"dataset.path={generated(folder, 'darcy', 'shape=[32,32]', 'refine=2')}"
    flow = f"dataset.path={generated(folder, 'heat', 'shape=[16,16]', 'n_steps=4')}"
    line = f"dataset.path={generated(folder, 'advection', 'shape=[64]', 'n_steps=4')}"
    return {
        "cape_advection": [line],
        "cape_burgers": [line],
        "mgno_darcy_multiscale": [darcy],
        "mgno_darcy_rough": [darcy],
        "mgno_darcy_smooth": [darcy],
        "mgno_navier_stokes": [flow],
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_published_configuration_composes_and_trains_when_small(name, files, tmp_path: Path, monkeypatch):
    header = (CONF / "experiment" / "paper" / f"{name}.yaml").read_text().splitlines()[1]
    assert header.startswith(f"# python train.py +experiment=paper/{name}")
    with initialize_config_module("duhamel.conf", version_base="1.3"):
        assert compose("train", [f"+experiment=paper/{name}"]).name == name
    command = ["train.py", f"+experiment=paper/{name}", *QUICK, *SMALL[name], *files.get(name, [])]
    run(monkeypatch, [*command, f"hydra.run.dir={tmp_path / 'run'}"])
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert math.isfinite(metrics["test/rollout_relative_l2"])


@pytest.mark.parametrize("name", STUDIES)
def test_every_contender_of_a_study_composes(name):
    with initialize_config_module("duhamel.conf", version_base="1.3"):
        study = compose("study", [f"study={name}", "data=data"]).study
        for own in dict(study.contenders).values():
            compose("train", [*study.arguments, *own])
