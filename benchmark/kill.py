"""Trainings killed at random moments and resumed: do they end where one ends that nobody disturbed?

    python -m duhamel.benchmark.kill [--kills 200] [--seed 0] [--scenario NAME] [--keep FOLDER]

Each scenario trains a small operator through train.py of the current folder, first undisturbed, then in a process that
receives SIGKILL after a random time, is started again with ckpt_path=last, and so on until enough kills have struck.
The last checkpoint (every tensor and number of it), metrics.json and metrics.csv must be equal to the bit, or the
command ends with status 1.
"""

import argparse
import importlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table

from duhamel.benchmark import forked

COMMON = [
    "trainer.max_epochs=8",
    "trainer.log_every_n_steps=3",
    "trainer.enable_progress_bar=false",
    "~callbacks.progress",
    "+callbacks.phase._target_=duhamel.benchmark.kill.Phase",
    "operator.n_modes=4",
    "operator.width=4",
    "operator.n_layers=2",
    "dataset.batch_size=2",
    "callbacks.resume.every_n_steps=3",
    "training.noise=0.02",
    "trainer.check_val_every_n_epoch=2",
    "threads=1",
    "figures=false",
]
SCENARIOS: dict[str, list[str]] = {
    "bf16, gated curriculum": ["trainer.precision=bf16-mixed", "training/curriculum=loss_gated"],
    "fp16 with scaler, staged": ["trainer.precision=16-mixed", "training/curriculum=staged"],
    "workers, accumulation": [
        "dataset.num_workers=2",
        "trainer.accumulate_grad_batches=3",
        "training/curriculum=linear",
        "training/scheduler=one_cycle",
    ],
}
PHASES = ("starting", "training", "validating", "saving", "testing, writing")
# Shared with the children: the phase, and the seconds from its start to that of the training and of the test.
_phase = multiprocessing.Array("d", 3)


class Phase(Callback):
    """Tells the killer what the process was doing, and from when."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _phase[0], _phase[1] = 1, time.monotonic()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        _phase[0] = 1

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _phase[0] = 2

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        _phase[0] = 3

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _phase[0], _phase[2] = 4, time.monotonic()


def started(arguments: Sequence[str], log: Path) -> int:
    _phase[:] = [0, 0, 0]
    return forked.started(arguments, log)


def finish(arguments: Sequence[str], log: Path) -> None:
    if status := forked.finished(started(arguments, log)):
        raise SystemExit(f"a training ended with status {status}: see {log}")


def strike(pid: int, rng: random.Random, training: float) -> str | None:
    """Kills a training after a random time, mostly within its fit; the phase, None where it was over before."""
    kind = rng.random()
    begun = 0 if kind < 0.1 else 1 if kind < 0.9 else 2  # counted from the start, from the fit, from the test
    while not (over := os.waitpid(pid, os.WNOHANG)[0]) and begun and not _phase[begun]:
        time.sleep(0.002)
    if not over:
        time.sleep(rng.uniform(0.0, 0.4 * training if begun == 1 else 0.4))
        over = os.waitpid(pid, os.WNOHANG)[0]
    if over:
        return None
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return PHASES[int(_phase[0])]


def killed(arguments: Sequence[str], folder: Path, kills: int, rng: random.Random, training: float) -> Counter[str]:
    """Runs until `kills` kills have struck; each run that comes through is compared, and another one begun.

    training: seconds that an undisturbed fit takes.
    """
    struck: Counter[str] = Counter()
    runs = 0
    while struck.total() < kills:
        run = folder / f"killed_{runs}"
        run.mkdir()
        command = [*arguments, f"hydra.run.dir={run}", "ckpt_path=last"]
        runs += 1
        while struck.total() < kills and (phase := strike(started(command, run / "train.txt"), rng, training)):
            struck[phase] += 1
        if not (run / "metrics.json").is_file():
            finish(command, run / "train.txt")
        compare(folder / "whole", run)
    struck["runs"] = runs
    return struck


def compare(whole: Path, run: Path) -> None:
    """Raises SystemExit naming the first difference between two finished runs."""
    if not (run / "metrics.json").is_file():
        raise SystemExit(f"{run} did not finish: see train.txt in it")
    for name in ("metrics.json", "metrics.csv"):
        if (whole / name).read_bytes() != (run / name).read_bytes():
            raise SystemExit(f"{name} of {run} differs from that of {whole}")
    a, b = (torch.load(r / "checkpoints" / "last.ckpt", weights_only=True) for r in (whole, run))
    for place in differences(a, b):
        if not place.endswith(("dirpath", "best_model_path", "best_k_models", "kth_best_model_path")):
            raise SystemExit(f"last.ckpt of {run} differs from that of {whole} in {place}")


def differences(a: Any, b: Any, place: str = "") -> Iterator[str]:
    """Where two nested states differ by a bit."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if a.keys() != b.keys():
            yield place
            return
        for key in a:
            yield from differences(a[key], b[key], f"{place}/{key}")
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from differences(x, y, f"{place}/{i}")
    elif isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        bits = [t.contiguous().flatten().view(torch.uint8) for t in (a, b)]
        if a.dtype != b.dtype or a.shape != b.shape or not torch.equal(*bits):
            yield place
    elif a != b:
        yield place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), help="only this one")
    parser.add_argument("--keep", type=Path, help="folder for the runs, else a temporary one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for module in ("train", "lightning.pytorch.callbacks", "duhamel.datasets.datamodule", "torch.utils.tensorboard"):
        importlib.import_module(module)
    names = [options.scenario] if options.scenario else list(SCENARIOS)
    rng = random.Random(options.seed)
    table = Table("scenario", "kills", *PHASES, "runs", "equal to the bit", title=f"SIGKILL, seed {options.seed}")
    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or Path(temporary)
        data = root / "burgers.hdf5"
        size = ["shape=[32]", "n_steps=6", "n_samples=30", "error_samples=1", "pde.viscosity.low=0.05"]
        make = [sys.executable, "-m", "duhamel.datasets.generate", "pde=burgers", f"out={data}", *size]
        subprocess.run([*make, "pde.viscosity.high=0.1", "overwrite=true"], check=True, stdout=subprocess.DEVNULL)
        for i, name in enumerate(names):
            folder = root / str(i)
            folder.mkdir()
            arguments = ["+experiment=burgers_fno", f"dataset.path={data}", *COMMON, *SCENARIOS[name]]
            finish([*arguments, f"hydra.run.dir={folder / 'whole'}"], folder / "train.txt")
            training = _phase[2] - _phase[1]
            share = options.kills // len(names) + (i < options.kills % len(names))
            struck = killed(arguments, folder, share, rng, training)
            counts = [str(struck[phase]) for phase in PHASES]
            table.add_row(name, str(share), *counts, str(struck["runs"]), str(struck["runs"]))
    Console(width=140).print(table)


if __name__ == "__main__":
    # By its own name, so that the callback finds the number that this process shares with its children.
    importlib.import_module("duhamel.benchmark.kill").main()
