"""Two processes on gloo train, validate, test and resume as one does; where one dies, the other does not wait."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import lightning
import pytest

from duhamel.benchmark import forked
from tests.test_experiments import generated

ROOT = Path(__file__).parents[2]
TIMEOUT = 10.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


class StopAt(lightning.Callback):
    """As max_time does, but at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.should_stop |= trainer.global_step == self.step


class DieAt(lightning.Callback):
    """Kills the process of one rank within a step; the others say when they got there."""

    def __init__(self, step: int, rank: int) -> None:
        self.step, self.rank = step, rank

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step and trainer.global_rank == self.rank:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    # 23 trajectories: 19 train in batches of 4 (the last of 3), 2 validate and 2 test in batches of 3 (of 2: one each).
    size = ["shape=[16]", "n_steps=4", "n_samples=23"]
    return generated(tmp_path_factory.mktemp("data"), "advection", *size)


def train(data: Path, run: Path, *options: str, processes: int = 1) -> list[int]:
    """Exit status of each process."""
    return [forked.finished(pid) for pid in start(data, run, *options, processes=processes)]


def line(data: Path, run: Path) -> list[str]:
    return [
        "+experiment=advection_fno",
        f"dataset.path={data}",
        "dataset.batch_size=4",
        "dataset.eval_batch_size=3",
        "dataset.fractions=[0.83,0.085,0.085]",
        "operator.n_modes=4",
        "operator.width=4",
        "trainer.max_epochs=2",
        "trainer.log_every_n_steps=1",
        "trainer.check_val_every_n_epoch=1",
        "trainer.enable_progress_bar=false",
        "~callbacks.progress",
        "trainer.accelerator=cpu",
        "callbacks.resume.every_n_steps=2",
        "threads=1",
        f"hydra.run.dir={run}",
    ]


def start(data: Path, run: Path, *options: str, processes: int) -> list[int]:
    run.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [*line(data, run), *options]
    if processes == 1:
        return [forked.started(arguments, run / "train.txt")]
    arguments += ["trainer=ddp", f"trainer.strategy.timeout.seconds={TIMEOUT}"]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes), "NODE_RANK": "0"}
    return [
        forked.started(arguments, run / f"train_{rank}.txt", {**common, "LOCAL_RANK": str(rank)})
        for rank in range(processes)
    ]


def metrics(run: Path) -> dict[str, float]:
    return json.loads((run / "metrics.json").read_text())


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        assert train(data, run) == [0]
    return run


def test_two_processes_end_with_the_metrics_of_one(data, alone, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert train(data, tmp_path / "both", processes=2) == [0, 0], (tmp_path / "both" / "train_1.txt").read_text()
    assert metrics(tmp_path / "both") == pytest.approx(metrics(alone), rel=1e-6, abs=1e-9)
    ours, theirs = rows(tmp_path / "both"), rows(alone)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert {k: float(v) for k, v in a.items() if v} == pytest.approx(
            {k: float(v) for k, v in b.items() if v}, rel=1e-5, abs=1e-9
        )


def test_lightning_starts_the_second_process(data, alone, tmp_path: Path):
    command = [sys.executable, "train.py", *line(data, tmp_path), "trainer=ddp", "trainer.devices=2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "GLOBAL_RANK: 1, MEMBER: 2/2" in done.stderr
    assert metrics(tmp_path) == pytest.approx(metrics(alone), rel=1e-6, abs=1e-9)


def test_one_then_two_then_one_process_are_one_training(data, alone, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(ROOT)
    run, stop = tmp_path / "run", "+callbacks.stop={_target_: tests.training.test_processes.StopAt, step: %d}"
    assert train(data, run, stop % 3) == [0]
    assert train(data, run, stop % 8, "ckpt_path=last", processes=2) == [0, 0]
    assert train(data, run, "ckpt_path=last") == [0]
    assert metrics(run) == pytest.approx(metrics(alone), rel=1e-6, abs=1e-9)
    assert len(rows(run)) == len(rows(alone))


@pytest.mark.parametrize("rank", [0, 1])
def test_where_one_process_dies_the_other_ends_with_an_error(rank, data, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(ROOT)
    die = f"+callbacks.die={{_target_: tests.training.test_processes.DieAt, step: 3, rank: {rank}}}"
    pids = start(data, tmp_path / "run", die, processes=2)
    assert forked.finished(pids[rank]) == -signal.SIGKILL
    dead = time.monotonic()
    assert forked.finished(pids[1 - rank]) != 0
    assert time.monotonic() - dead < 2 * TIMEOUT
