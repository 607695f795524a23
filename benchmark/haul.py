"""A training of thousands of epochs: do its memory and its open files grow?

    python -m duhamel.benchmark.haul [--epochs 2000] [--out haul.csv]

A small operator is trained through train.py of the current folder, with a checkpoint at every epoch, a validation at
every second and two workers. Resident memory and open files of the training process are noted every hundredth of the
way; the command prints them for each tenth, and ends with status 1 where the last half is more than 2 % above its first
entry.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table

from duhamel.benchmark import forked

GROWTH = 1.02


class Watch(Callback):
    """Appends epoch, resident bytes and number of open files of this process to a file."""

    def __init__(self, path: str, every: int) -> None:
        self.path, self.every = Path(path), every

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (trainer.current_epoch + 1) % self.every == 0:
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            with self.path.open("a", newline="") as file:
                csv.writer(file).writerow([trainer.current_epoch + 1, resident, len(os.listdir("/proc/self/fd"))])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("haul.csv"))
    options = parser.parse_args()
    options.out.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "advection.hdf5"
        size = ["shape=[16]", "n_steps=4", "n_samples=20", "error_samples=1"]
        make = [sys.executable, "-m", "duhamel.datasets.generate", "pde=advection", f"out={data}", *size]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        watch = f"{{_target_: duhamel.benchmark.haul.Watch, path: {options.out.resolve()}, every: %d}}"
        arguments = [
            "+experiment=advection_fno",
            f"dataset.path={data}",
            "dataset.num_workers=2",
            f"trainer.max_epochs={options.epochs}",
            "trainer.check_val_every_n_epoch=2",
            "trainer.enable_progress_bar=false",
            "~callbacks.progress",
            f"+callbacks.watch={watch % max(1, options.epochs // 100)}",
            "operator.n_modes=4",
            "operator.width=4",
            "operator.n_layers=2",
            "threads=1",
            f"hydra.run.dir={folder}/run",
        ]
        log = Path(folder) / "train.txt"
        if status := forked.finished(forked.started(arguments, log)):
            sys.exit(f"the training ended with status {status}:\n{log.read_text()[-2000:]}")
    with options.out.open(newline="") as file:
        rows = [tuple(map(int, row)) for row in csv.reader(file)]
    table = Table("epoch", "resident MiB", "open files")
    for epoch, resident, files in rows[9::10]:
        table.add_row(str(epoch), f"{resident / 2**20:.1f}", str(files))
    Console().print(table)
    late = rows[len(rows) // 2 :]
    if any(row[i] > GROWTH * late[0][i] for row in late for i in (1, 2)):
        sys.exit("memory or open files grow")


if __name__ == "__main__":
    main()
