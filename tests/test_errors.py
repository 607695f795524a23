"""What a user gets for a mistake: one message that names it, exit status 1, and no traceback unless asked for."""

import sys
from pathlib import Path

import h5py
import lightning
import numpy as np
import pytest
import torch
from filelock import FileLock

import train
from duhamel.benchmark import forked
from duhamel.command_line import message
from duhamel.datasets import generate, handles
from duhamel.training import Forgiving, MetricsCSV, SealedCheckpoints
from duhamel.training import run as runs
from duhamel.training.precision import bf16_mixed_or_32, check_precision
from tests.test_experiments import QUICK, generated
from tests.training.test_full_disk import fill

ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return generated(tmp_path_factory.mktemp("data"), "advection", "shape=[16]", "n_steps=4")


@pytest.fixture
def said(monkeypatch, capfd, tmp_path: Path):
    """Runs train.py with these arguments and returns its error."""

    def run(*arguments: str, folder: Path = tmp_path / "run") -> str:
        command = ["train.py", "+experiment=advection_fno", *QUICK, f"hydra.run.dir={folder}", *arguments]
        monkeypatch.setattr(sys, "argv", command)
        monkeypatch.chdir(ROOT)
        with pytest.raises(SystemExit) as end:
            train.main()
        assert end.value.code == 1
        error = capfd.readouterr().err
        assert "Traceback" not in error
        (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
        return line

    return run


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("trainer.max_epoch=3", "trainer.max_epoch: no such key (did you mean max_epochs?)"),
        ("+experiment=advektion_fno", "experiment 'advektion_fno' is unknown (did you mean advection_fno?)"),
        ("operator=fno_fin", "operator 'fno_fin' is unknown (did you mean fno_fine?)"),
        ("training/curriculum=stage", "training/curriculum 'stage' is unknown (did you mean staged?)"),
        ("+operator.n_mode=3", "unexpected keyword argument"),
        ("dataset.path=nowhere.hdf5", "nowhere.hdf5: no such file"),
        ("dataset.fractions=[1,0,0]", "nothing to test on"),
        ("dataset.fractions=[0.5,0,0.5]", "nothing to validate on"),
        ("dataset.window=99", "window of 99 states asked for, trajectories have 5"),
        ("operator.n_modes=40", "n_modes"),
        ("training/augmentation=swap_axes", "axes (0, 1) are swapped, the data have 1"),
        ("trainer.precision=bf17", "bf17"),
        ("matmul_precision=low", "matmul_precision=low is none of ['highest', 'high', 'medium']"),
        ("activation_memory=2 compile=true", "activation_memory=2 is not in [0, 1]"),
        ("compile=fast", "compile=fast is neither false, nor true, nor a mode of torch.compile"),
        ("ckpt_path=nowhere/checkpoints/last.ckpt", "no such checkpoint"),
    ],
)
def test_a_wrong_choice_is_named(mistake, answer, data, said):
    assert answer in said(f"dataset.path={data}", *mistake.split())


def test_debug_shows_the_traceback(data, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(ROOT)
    wrong = ["+experiment=advection_fno", "dataset.path=nowhere.hdf5", "debug=true", f"hydra.run.dir={tmp_path}"]
    assert forked.finished(forked.started(wrong, tmp_path / "said.txt")) == 1
    said = (tmp_path / "said.txt").read_text()
    assert "Traceback" in said and "nowhere.hdf5: no such file" in said


@pytest.mark.parametrize(
    ("damage", "answer"),
    [
        (lambda file: file["t0_fields/u"].__setitem__((2, 3), np.nan), "channel 'u' of trajectory 2 is NaN"),
        (
            lambda file: file["scalars/speed"].__setitem__(4, np.inf),
            "scalar 'speed' of trajectory 4 is NaN or infinite",
        ),
        (lambda file: file.__delitem__("t0_fields/u"), "u"),
        (lambda file: file.__delitem__("scalars/speed"), "dataset 'scalars/speed': absent"),
    ],
    ids=["NaN", "infinite parameter", "missing field", "missing scalar"],
)
def test_a_bad_file_is_named(damage, answer, data, said, tmp_path: Path):
    bad = tmp_path / "bad.hdf5"
    bad.write_bytes(data.read_bytes())
    with h5py.File(bad, "a") as file:
        name = next(iter(file["t0_fields"]))
        if name != "u":
            file.move(f"t0_fields/{name}", "t0_fields/u")
            file["t0_fields"].attrs["field_names"] = ["u"]
            file.attrs["provenance"] = file.attrs["provenance"].replace(f'"{name}"', '"u"')
        damage(file)
    error = said(f"dataset.path={bad}")
    assert answer in error and "bad.hdf5" in error


class Remove(lightning.Callback):
    """Takes a file away within the first epoch."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.path.unlink(missing_ok=True)


def test_a_file_that_vanishes_within_an_epoch_is_named(data, said, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(handles, "CHECK_EVERY", 0.0)
    copy = tmp_path / "copy.hdf5"
    copy.write_bytes(data.read_bytes())
    error = said(f"dataset.path={copy}", f"+callbacks.remove={{_target_: tests.test_errors.Remove, path: {copy}}}")
    assert "copy.hdf5" in error and "No such file" in error


class Fill(lightning.Callback):
    """Leaves no room on a file system once a checkpoint is there."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == 1 and batch_idx == 0:
            fill(self.folder)


def test_a_training_on_a_disk_that_fills_up_keeps_its_checkpoint_and_goes_on_later(data, said, small, monkeypatch):
    command = [f"dataset.path={data}", "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=1"]
    error = said(*command, f"+callbacks.fill={{_target_: tests.test_errors.Fill, folder: {small}}}", folder=small)
    assert "No space left" in error
    last = small / "checkpoints" / "last.ckpt"
    assert SealedCheckpoints().load_checkpoint(last)["epoch"] == 0
    (small / "filler").unlink()
    arguments = ["train.py", "+experiment=advection_fno", *QUICK, *command, f"hydra.run.dir={small}", "ckpt_path=last"]
    monkeypatch.setattr(sys, "argv", arguments)
    train.main()
    assert SealedCheckpoints().load_checkpoint(last)["epoch"] == 2


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("pde=burger", "pde 'burger' is unknown (did you mean burgers?)"),
        ("n_sample=3", "n_sample: no such key (did you mean n_samples?)"),
        ("dtype=float8", "dtype must be one of ['float32', 'float64'], got 'float8'"),
        ("part=3", "part must be one of 0 to parts - 1"),
    ],
)
def test_a_data_set_that_cannot_be_is_refused_by_one_message(mistake, answer, tmp_path: Path, monkeypatch, capfd):
    command = ["generate", "pde=advection", "n_samples=2", "shape=[16]", f"out={tmp_path / 'a.hdf5'}"]
    kept = [argument for argument in command if argument.split("=")[0] != mistake.split("=")[0]]
    monkeypatch.setattr(sys, "argv", [*kept, mistake])
    with pytest.raises(SystemExit) as end:
        generate.main()
    error = capfd.readouterr().err
    assert end.value.code == 1 and "Traceback" not in error and answer in error


def test_a_negative_viscosity_is_refused(said, tmp_path: Path):
    bad = generated(tmp_path, "burgers", "shape=[16]", "n_steps=2", "pde.viscosity.low=0.05", "pde.viscosity.high=0.1")
    with h5py.File(bad, "a") as file:
        file["scalars/viscosity"][:] = -0.05
    assert "'viscosity' of trajectory" in said(f"dataset.path={bad}")


def test_bf16_where_the_device_has_none(monkeypatch):
    class Device:
        def __init__(self, *_: object) -> None: ...
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(torch.cuda, "device", Device)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "an old card")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    with pytest.raises(ValueError, match="trainer.precision=bf16-mixed: an old card has no bfloat16"):
        check_precision("bf16-mixed", torch.device("cuda", 0))
    check_precision("16-mixed", torch.device("cuda", 0))


@pytest.mark.parametrize("has", [True, False])
def test_bf16_on_a_processor(has, monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has)
    assert bf16_mixed_or_32("auto") == ("bf16-mixed" if has else "32")
    with caplog.at_level("WARNING"):
        check_precision("bf16-mixed", torch.device("cpu"))
    assert ("no fast products in bfloat16" in caplog.text) is not has


def test_two_runs_in_one_folder_are_refused(data, said, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(runs, "PATIENCE", 0.1)
    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"):
        assert "another run is writing here" in said(f"dataset.path={data}")


def test_a_message_of_a_worker_process_is_its_own():
    text = (
        'Caught ValueError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File "x"\n'
    )
    assert message(ValueError(f"{text}ValueError: data.hdf5: gone\n")) == "data.hdf5: gone"


@pytest.mark.parametrize("when", ["made", "used"])
def test_a_logger_that_fails_is_left_out(when):
    class Broken(MetricsCSV):
        def __init__(self) -> None:
            super().__init__(".")
            if when == "made":
                raise ConnectionError("unreachable")

        def log_metrics(self, metrics, step=None):
            raise ConnectionError("unreachable")

    logger = Forgiving(Broken)
    with pytest.warns(UserWarning, match="failed and is left out from here on") as warned:
        for step in range(3):
            logger.log_metrics({"loss": 1.0}, step)
        logger.save()
        logger.finalize("success")
    assert len(warned) == 1
