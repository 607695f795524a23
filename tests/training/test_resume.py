"""A training that is interrupted, wherever and however, ends as one that nobody disturbed."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import lightning
import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn

from duhamel.datasets import FreshDataModule
from duhamel.datasets.loader import window_loader
from duhamel.datasets.windows import EpochShuffle, Windows
from duhamel.operators import NSM, Normaliser, Surrogate
from duhamel.pdes import Poisson
from duhamel.training import (
    AverageWeights,
    BestModel,
    LastCheckpoint,
    MetricsCSV,
    SealedCheckpoints,
    StopWhenNotFinite,
    SurrogateModule,
    ValidateAtEnd,
)
from duhamel.training.curriculum import LossGated, OneStep
from duhamel.training.run import best_checkpoint
from duhamel.training.schedules import exponential
from duhamel.training.spectral_residual import PoissonResidual
from duhamel.training.unroll import Segments
from tests.training.test_module import loader, module, shifted_waves

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.usefixtures("unchecked"),  # hundreds of small trainings
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


class Waves(Windows):
    """Without a file."""

    def __init__(self) -> None:
        self.all = shifted_waves(11)
        self.grid, self.dt, self.dtype = self.all.grid, self.all.dt, self.all.u.dtype
        parts = (self.all.u, self.all.params.fields, self.all.params.scalars)
        self.shapes = tuple(tuple(part.shape[1:]) for part in parts)

    def __len__(self) -> int:
        return 11

    def fill(self, indices: Sequence[int], u: torch.Tensor, fields: torch.Tensor, scalars: torch.Tensor) -> None:
        chosen = list(indices)
        u.copy_(self.all.u[chosen])
        fields.copy_(self.all.params.fields[chosen])
        scalars.copy_(self.all.params.scalars[chosen])


class At(lightning.Callback):
    """Does something after so many batches, or validation batches, of a process."""

    def __init__(self, n: int, action, *, validation: bool = False) -> None:
        self.left, self.action, self.validation = n, action, validation

    def _count(self, trainer: lightning.Trainer) -> None:
        self.left -= 1
        if self.left == 0:
            self.action(trainer)

    def on_train_batch_end(self, trainer, *_):
        if not self.validation:
            self._count(trainer)

    def on_validation_batch_start(self, trainer, *_):
        if self.validation:
            self._count(trainer)


class Killed(BaseException):
    """As a kill: nothing in the training expects it."""


def kill(trainer: lightning.Trainer) -> None:
    for logger in trainer.loggers:  # a kill flushes nothing
        logger._pending.clear()
    raise Killed


def train(folder: Path, *callbacks: lightning.Callback, epochs: int = 4, resume: bool = False, **options):
    subject = module(LossGated(threshold=0.9, patience=1), noise=0.02)
    subject.surrogate.operator.lifting = nn.Sequential(subject.surrogate.operator.lifting, nn.Dropout(0.1))
    run = lightning.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        max_epochs=epochs,
        callbacks=[
            *callbacks,
            BestModel(dirpath=folder, filename="best", monitor="val/rollout_relative_l2", enable_version_counter=False),
            LastCheckpoint(dirpath=str(folder), every_n_steps=2),
            AverageWeights(decay=0.9),
            StopWhenNotFinite(),
            ValidateAtEnd(),
        ],
        plugins=[SealedCheckpoints()],
        logger=MetricsCSV(str(folder)),
        log_every_n_steps=1,
        check_val_every_n_epoch=2,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )
    batches = window_loader(Waves(), EpochShuffle(11, seed=0), batch_size=2)
    last = folder / "last.ckpt" if resume and (folder / "last.ckpt").exists() else None
    run.fit(subject, batches, loader(shifted_waves(4), 2), ckpt_path=last, weights_only=True)
    return run, subject


def result(folder: Path, run: lightning.Trainer, subject) -> dict[str, object]:
    """What a user is left with."""
    run.test(subject, loader(shifted_waves(5), 2), ckpt_path=best_checkpoint(run), weights_only=True, verbose=False)
    last = torch.load(folder / "last.ckpt", weights_only=True)
    return {
        "weights": last["current_model_state"],
        "average": last["state_dict"],
        "moments": last["optimizer_states"][0]["state"],
        "curriculum": last["curriculum"],
        "metrics": (folder / "metrics.csv").read_text(),
        "test": subject.test_metrics(),
    }


def assert_equal(a, b) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[int, dict[str, object]]:
    """By the number of batches whose gradients are accumulated."""
    results = {}
    for n in (1, 4):
        folder = tmp_path_factory.mktemp("whole")
        results[n] = result(folder, *train(folder, accumulate_grad_batches=n))
    return results


@pytest.mark.parametrize(
    ("n", "validation", "accumulated"),
    [(1, False, 1), (4, False, 1), (6, False, 1), (9, False, 1), (23, False, 1), (1, True, 1), (4, True, 1)]
    + [(2, False, 4), (7, False, 4), (13, False, 4), (20, False, 4)],
)
def test_an_interruption_anywhere_changes_nothing(n, validation, accumulated, undisturbed, tmp_path: Path):
    with pytest.raises(Killed):
        train(tmp_path, At(n, kill, validation=validation), accumulate_grad_batches=accumulated)
    assert (tmp_path / "last.ckpt").exists() == ((n, validation) not in ((1, False), (2, False)))
    resumed = train(tmp_path, resume=True, accumulate_grad_batches=accumulated)
    assert_equal(result(tmp_path, *resumed), undisturbed[accumulated])


def test_a_run_goes_on_from_the_best_checkpoint_too(undisturbed, tmp_path: Path):
    """It lies between two of `LastCheckpoint`: the rows since the first of them are in metrics.csv and stay there."""
    with pytest.raises(Killed):
        train(tmp_path, At(14, kill))
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["global_step"] == 12
    (tmp_path / "last.ckpt").write_bytes((tmp_path / "best.ckpt").read_bytes())
    assert_equal(result(tmp_path, *train(tmp_path, resume=True)), undisturbed[1])


@pytest.mark.parametrize("copied", [False, True])
def test_a_run_that_was_moved_or_copied_keeps_its_best_model(copied, undisturbed, tmp_path: Path):
    here, there = tmp_path / "here", tmp_path / "there"
    with pytest.raises(Killed):
        train(here, At(14, kill))
    shutil.copytree(here, there)
    if copied:
        (here / "best.ckpt").write_bytes(b"of another run by now")
    else:
        shutil.rmtree(here)
    run, subject = train(there, resume=True)
    assert Path(run.checkpoint_callback.best_model_path).parent == there
    assert_equal(result(there, run, subject), undisturbed[1])


def test_without_its_best_model_a_run_chooses_among_those_to_come(tmp_path: Path):
    with pytest.raises(Killed):
        train(tmp_path, At(14, kill))
    (tmp_path / "best.ckpt").unlink()
    with pytest.warns(UserWarning, match="best.ckpt is not there: the best model is chosen among those from now on"):
        run, _ = train(tmp_path, resume=True)
    assert torch.load(run.checkpoint_callback.best_model_path, weights_only=True)["global_step"] == 24


def trained_on_fresh_samples(folder: Path, *callbacks: lightning.Callback, resume: bool = False) -> None:
    data = FreshDataModule(Poisson(), shape=[16, 16], dt=0.0, batch_size=2, steps_per_epoch=6, n_validation=1, n_test=1)
    torch.manual_seed(0)
    operator = NSM(data.problem, modes=5, width=4, n_layers=1)
    normaliser = Normaliser.fitted(data.problem, data.statistics, log=[])
    subject = SurrogateModule(
        Surrogate(operator, normaliser, trained_range={}),
        loss=None,
        terms={"residual": PoissonResidual()},
        curriculum=OneStep(),
        unroll=Segments(),
        optimizer=torch.optim.AdamW,
        scheduler=exponential,
        data={"split": data.split},
    )
    run = lightning.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        max_epochs=2,
        callbacks=[*callbacks, LastCheckpoint(dirpath=str(folder), every_n_steps=2)],
        plugins=[SealedCheckpoints()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    run.fit(subject, datamodule=data, ckpt_path=folder / "last.ckpt" if resume else None, weights_only=True)


def test_a_training_without_data_goes_on_with_the_samples_of_its_next_step(tmp_path: Path):
    trained_on_fresh_samples(tmp_path / "whole")
    with pytest.raises(Killed):
        trained_on_fresh_samples(tmp_path / "killed", At(9, kill))
    trained_on_fresh_samples(tmp_path / "killed", resume=True)
    whole, killed = (torch.load(tmp_path / run / "last.ckpt", weights_only=True) for run in ("whole", "killed"))
    assert_equal(killed["state_dict"], whole["state_dict"])


def test_a_resumed_run_sees_the_rest_of_its_epoch_only(undisturbed, tmp_path: Path):
    with pytest.raises(Killed):
        train(tmp_path, At(5, kill))
    seen = []
    run, _ = train(tmp_path, At(1, lambda trainer: seen.append(trainer.global_step)), resume=True)
    assert seen == [5]  # last.ckpt was written after step 4


def test_sigterm_writes_a_checkpoint_at_the_end_of_the_step(undisturbed, tmp_path: Path):
    with pytest.raises(SIGTERMException):
        train(tmp_path, At(9, lambda trainer: os.kill(os.getpid(), signal.SIGTERM)))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 9
    assert_equal(result(tmp_path, *train(tmp_path, resume=True)), undisturbed[1])


def test_sigterm_does_not_wait_for_a_validation(undisturbed, tmp_path: Path):
    with pytest.raises(SIGTERMException):
        train(tmp_path, At(3, lambda trainer: os.kill(os.getpid(), signal.SIGTERM), validation=True))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 22
    assert_equal(result(tmp_path, *train(tmp_path, resume=True)), undisturbed[1])


def test_slurms_signal_saves_at_the_end_of_the_step_and_requeues(undisturbed, tmp_path: Path, monkeypatch):
    requeued = tmp_path / "requeued"
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" > {requeued}\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}:{os.environ['PATH']}")
    for name, value in {"NTASKS": "1", "JOB_ID": "7", "JOB_NAME": "train", "NTASKS_PER_NODE": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    for name in ("PROCID", "LOCALID", "NODEID"):
        monkeypatch.setenv(f"SLURM_{name}", "0")
    run = tmp_path / "run"

    class Between(lightning.Callback):
        """Announces the end between the backward pass and the optimiser's step."""

        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            if trainer.global_step == 7:
                os.kill(os.getpid(), signal.SIGUSR1)

    with pytest.raises(Killed):
        train(run, Between(), At(10, kill))
    assert requeued.read_text() == "requeue 7\n"
    saved = torch.load(run / "hpc_ckpt_1.ckpt", weights_only=True)
    assert saved["global_step"] == 8
    # As the requeued job does: the same command, no checkpoint named.
    assert_equal(result(run, *train(run)), undisturbed[1])


def test_a_run_whose_time_is_over_goes_on_as_if_it_had_never_stopped(undisturbed, tmp_path: Path):
    def over(trainer: lightning.Trainer) -> None:
        trainer.should_stop = True  # what Lightning's timer of max_time does

    run, _ = train(tmp_path, At(20, over), max_time=timedelta(hours=1))
    assert run.global_step == 20
    assert_equal(result(tmp_path, *train(tmp_path, resume=True)), undisturbed[1])


def test_max_time_is_respected(tmp_path: Path):
    run, _ = train(tmp_path, epochs=10**6, max_time=timedelta(seconds=1))
    assert run.should_stop
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == run.global_step


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "absent"])
def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(damage, undisturbed, tmp_path: Path):
    with pytest.raises(Killed):
        train(tmp_path, At(9, kill))
    last = tmp_path / "last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes({"truncated": content[:-1000], "flipped": content}.get(damage, b""))
    with pytest.warns(UserWarning, match="last.ckpt: not a whole checkpoint .*; going on from the one before"):
        assert SealedCheckpoints().load_checkpoint(last)["global_step"] == 6
    assert_equal(result(tmp_path, *train(tmp_path, resume=True)), undisturbed[1])


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(tmp_path: Path):
    command = [sys.executable, "-m", "duhamel.benchmark.kill", "--kills", "4", "--scenario", "bf16, gated curriculum"]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    runs, equal = map(int, re.findall(r"│\s*(\d+)\s*│\s*(\d+)\s*│$", done.stdout, re.MULTILINE)[0])
    assert runs == equal >= 1
