"""Every experiment, through train.py's own entry point, for a few steps on a tiny file."""

import json
import sys
from functools import partialmethod
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

import duhamel
import train
from duhamel.datasets import generate

ROOT = Path(__file__).parents[1]
QUICK = [
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
    "trainer.enable_progress_bar=false",
    "~callbacks.progress",
    "figures=false",
    "operator.n_modes=4",
    "operator.width=4",
    "dataset.batch_size=4",
]
# Experiments whose operators are sized otherwise.
FRESH = [
    "operator.width=4",
    "operator.modes=5",
    "dataset.batch_size=4",
    "dataset.steps_per_epoch=2",
    "dataset.n_test=4",
]
SIZES = {
    "darcy_mgno": ["operator.width=4", "operator.pre=[1,1]"],
    "poisson_nsm": [*FRESH, "dataset.shape=[8,8]"],
    "navier_stokes_nsm": [*FRESH, "operator.time_modes=4", "dataset.shape=[16,16]", "trainer.max_steps=3"],
    "reaction_nsm": [*FRESH, "operator.time_modes=4", "dataset.shape=[64]", "dataset.refine=2", "trainer.max_steps=3"],
}
ONE_STEP = {"darcy_fno", "darcy_lognormal", "darcy_mgno", "navier_stokes_nsm", "poisson_nsm", "reaction_nsm"}
# One of each kind of drawing.
DRAWN = {"burgers_fno", "darcy_fno", "navier_stokes_fno"}
HEADER = "# python train.py +experiment="
# Experiments of other programs (duhamel.inverse) are run by their own tests.
NAMES = sorted(
    path.stem
    for path in (ROOT / "conf" / "experiment").glob("*.yaml")
    if path.read_text().splitlines()[1].startswith(HEADER)
)
KEYS = {"test/rollout_relative_l2", "test/rollout_nrmse", "test/persistence_relative_l2"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


def run(monkeypatch, command: list[str]) -> None:
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.chdir(ROOT)
    train.main()


def generated(folder: Path, pde: str, *options: str) -> Path:
    out = folder / f"{pde}.hdf5"
    arguments = [f"pde={pde}", "n_samples=20", f"out={out}", "error_samples=1", *options]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["generate", *arguments])
        generate.main()
    return out


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, list[str]]:
    """Experiment -> overrides that name a tiny data set of its own."""
    folder = tmp_path_factory.mktemp("data")
    line = ["shape=[32]", "n_steps=6", "refine=4", "substeps=4"]
    burgers = generated(folder, "burgers", *line, "pde.viscosity.low=0.05", "pde.viscosity.high=0.1")
    well = folder / "well" / "data"
    for seed, part in enumerate(("train", "valid", "test")):
        (well / part).mkdir(parents=True)
        generated(well / part, "advection", *line[:2], f"seed={seed}")
    advection = generated(folder, "advection", *line[:2])
    darcy = generated(folder, "darcy", "shape=[8,8]", "refine=2")
    flow = ["pde.viscosity.low=0.01", "pde.viscosity.high=0.01", "pde.initial.n_modes=3"]
    turbulence = generated(folder, "navier_stokes", "shape=[16,16]", "n_steps=3", *flow)
    pdebench = []
    for nu, decay in (("0.1", 1.0), ("0.4", 2.0)):
        pdebench.append(folder / f"1D_Burgers_Sols_Nu{nu}.hdf5")
        x, t = (np.arange(32) + 0.5) / 32, 0.01 * np.arange(7)
        phase = np.linspace(0, 6, 20)
        with h5py.File(pdebench[-1], "w") as file:
            wave = np.sin(2 * np.pi * x + phase[:, None, None]) * np.exp(-decay * t[:6])[:, None]
            file["tensor"] = wave.astype(np.float32)
            file["x-coordinate"], file["t-coordinate"] = x.astype(np.float32), t.astype(np.float32)
            file.attrs["Nu"] = float(nu)
    own = folder / "own.h5"
    with h5py.File(own, "w") as file:
        file["temp"], file["nu"] = wave, np.linspace(0.01, 0.05, 20)
    mapping = folder / "own.yaml"
    mapping.write_text(
        yaml.safe_dump(
            {
                "axes": ["sample", "time", "x"],
                "channels": {"temperature": "temp"},
                "scalars": {"diffusivity": "nu"},
                "grid": {"x": {"from": 0, "to": 1, "boundary": "periodic"}},
                "centring": "cell",
                "dt": 0.01,
            }
        )
    )
    return {
        "burgers_fno": [f"dataset.path={burgers}"],
        "advection_fno": [f"dataset.path={advection}"],
        "darcy_fno": [f"dataset.path={darcy}"],
        "darcy_mgno": [f"dataset.path={darcy}", "dataset.fractions=[0.8,0.1,0.1]"],
        "darcy_lognormal": [f"dataset.path={darcy}", "operator.n_modes_out=4"],
        "navier_stokes_fno": [f"dataset.path={turbulence}", "dataset.window=3"],
        "pdebench": [f"dataset.path=[{','.join(map(str, pdebench))}]"],
        "navier_stokes_nsm": [],
        "poisson_nsm": [],
        "reaction_nsm": [],
        "well": [f"dataset.path={folder / 'well'}", "dataset.window=4"],
        "own_data": [f"dataset.path={own}", f"dataset.mapping={mapping}"],
    }


def test_every_experiment_is_run_here(files):
    assert set(files) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_experiment_runs_and_leaves_what_it_promises(name, files, tmp_path: Path, monkeypatch):
    header = (ROOT / "conf" / "experiment" / f"{name}.yaml").read_text().splitlines()[1]
    assert header.startswith(f"{HEADER}{name}")
    folder = tmp_path / "run"
    quick = [q for q in QUICK if name not in SIZES or not q.startswith("operator.")] + SIZES.get(name, [])
    quick += [f"figures={str(name in DRAWN).lower()}"]
    run(monkeypatch, ["train.py", f"+experiment={name}", *quick, *files[name], f"hydra.run.dir={folder}"])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) >= KEYS
    assert all(np.isfinite(value) for value in metrics.values())
    assert "test/one_step_relative_l2" in metrics or name in ONE_STEP
    for kept in ("config.yaml", "metrics.csv", "split.json", "checkpoints/last.ckpt"):
        assert (folder / kept).is_file(), kept
    assert (folder / "figures.html").is_file() == (name in DRAWN)
    surrogate = duhamel.load(folder / "surrogate.safetensors")
    assert surrogate.card["metrics"] == metrics
    middle = {q.name: sum(surrogate.card["trained_range"][q.name]) / 2 for q in surrogate.problem.scalars}
    fields = {q.name: torch.ones(surrogate.problem.grid.shape) for q in surrogate.problem.coefficients}
    u0 = None if surrogate.problem.steady else torch.zeros(1, *surrogate.problem.grid.shape)
    assert surrogate.solve(u0, {**middle, **fields}, n_steps=1).u.isfinite().all()


def test_a_resumed_run_ends_with_the_same_weights_metrics_and_best_model(files, tmp_path: Path, monkeypatch):
    folder = tmp_path / "run"
    each = "{_target_: lightning.pytorch.callbacks.ModelCheckpoint, filename: '{epoch}', save_top_k: -1, dirpath: %s}"
    command = ["train.py", "+experiment=pdebench", *QUICK[1:], *files["pdebench"]]
    command += ["trainer.max_epochs=4", "trainer.check_val_every_n_epoch=1", "training.noise=0.01"]
    command += [f"+callbacks.each={each % (folder / 'checkpoints')}"]
    run(monkeypatch, [*command, f"hydra.run.dir={folder}"])
    whole = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    metrics, rows = ((folder / name).read_text() for name in ("metrics.json", "metrics.csv"))

    middle = str(folder / "checkpoints" / "epoch=1.ckpt").replace("=", "\\=")
    run(monkeypatch, [*command, f"ckpt_path={middle}"])
    resumed = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert resumed["global_step"] == whole["global_step"]
    for name, value in whole["current_model_state"].items():
        assert torch.equal(resumed["current_model_state"][name], value), name
    assert (folder / "metrics.json").read_text() == metrics
    assert (folder / "metrics.csv").read_text() == rows

    with pytest.raises(SystemExit):
        run(monkeypatch, [*command, f"ckpt_path={middle}", "dataset.seed=7"])


def test_an_operator_without_weights_is_tested_untrained(files, tmp_path: Path, monkeypatch):
    folder, kept = tmp_path / "run", [q for q in QUICK if not q.startswith("operator.")]
    run(
        monkeypatch,
        [
            "train.py",
            "+experiment=pdebench",
            *kept,
            *files["pdebench"],
            "operator=persistence",
            f"hydra.run.dir={folder}",
        ],
    )
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test/rollout_relative_l2"] == pytest.approx(metrics["test/persistence_relative_l2"], rel=1e-6)


@pytest.mark.parametrize(
    "choices",
    [
        ["training/curriculum=tanh", "training/unroll=prefix", "trainer.precision=16-mixed"],
        [
            "training/curriculum=linear",
            "training/unroll=pushforward",
            "training.noise=0.01",
            "training.checkpoint=true",
        ],
        ["training/curriculum=full_rollout", "training/loss=normalised_mse", "training/scheduler=one_cycle"],
        ["training/loss=relative_h1", "dataset.num_workers=2", "operator=neuralop_fno", "trainer.max_steps=3"],
    ],
    ids=lambda choices: choices[0],
)
def test_choices_on_the_command_line(choices, files, tmp_path: Path, monkeypatch):
    folder = tmp_path / "run"
    quick = [q for q in QUICK if not ("operator=neuralop_fno" in choices and q.startswith("operator.width"))]
    run(
        monkeypatch,
        ["train.py", "+experiment=pdebench", *quick, *files["pdebench"], *choices, f"hydra.run.dir={folder}"],
    )
    assert np.isfinite(json.loads((folder / "metrics.json").read_text())["test/rollout_relative_l2"])


@pytest.mark.usefixtures("unchecked")
def test_a_compiled_run_learns_what_the_plain_one_does(files, tmp_path: Path, monkeypatch):
    """One graph in training and rollouts; what becomes of a graph in machine code is tested on the operator alone."""
    to_graph = partialmethod(torch.nn.Module.compile, backend="aot_eager")
    monkeypatch.setattr(torch.nn.Module, "compile", to_graph)
    errors = []
    for compiled in ("false", "true"):
        folder = tmp_path / compiled
        command = ["train.py", "+experiment=advection_fno", *QUICK, *files["advection_fno"], "operator.n_layers=1"]
        run(monkeypatch, [*command, f"compile={compiled}", f"hydra.run.dir={folder}"])
        errors.append(json.loads((folder / "metrics.json").read_text())["test/rollout_relative_l2"])
    torch._dynamo.reset()
    assert errors[1] == pytest.approx(errors[0], rel=1e-3)


@pytest.mark.parametrize("logger", ["tensorboard", "wandb"])
def test_other_loggers_are_a_choice(logger, files, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    folder = tmp_path / "run"
    run(
        monkeypatch,
        ["train.py", "+experiment=pdebench", *QUICK, *files["pdebench"], f"logger={logger}", f"hydra.run.dir={folder}"],
    )
    assert (folder / "metrics.csv").is_file()
    assert any((folder / ("tensorboard" if logger == "tensorboard" else "wandb")).iterdir())
