"""A disk that is full, or may not be written: the last good checkpoint and all that was logged before stay whole."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

from duhamel.training import MetricsCSV, SealedCheckpoints


def fill(folder: Path) -> None:
    with pytest.raises(OSError, match="No space left"), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def state(step: int) -> dict[str, object]:
    return {"step": step, "weights": torch.full((20_000,), float(step))}


def test_a_full_disk_costs_no_checkpoint(small: Path):
    path = small / "last.ckpt"
    for step in (1, 2, 3):
        SealedCheckpoints().save_checkpoint(state(step), path)
    fill(small)
    with pytest.raises(OSError, match="last.ckpt: cannot be written .*No space left"):
        SealedCheckpoints().save_checkpoint(state(4), path)
    assert sorted(p.name for p in small.iterdir()) == ["filler", "last.ckpt", "last.previous.ckpt"]
    assert SealedCheckpoints().load_checkpoint(path)["step"] == 3
    os.remove(small / "filler")
    SealedCheckpoints().save_checkpoint(state(5), path)
    assert SealedCheckpoints().load_checkpoint(path)["step"] == 5


def test_a_full_disk_keeps_the_rows_that_were_written(small: Path):
    log = MetricsCSV(str(small))
    log.begin(None)
    log.log_metrics({"loss": 1.0}, 0)
    log.save()
    written = log.path.read_text()
    fill(small)
    log.log_metrics({"loss": 0.5, "error": 2.0}, 1)  # a new column: the file is written anew
    with pytest.raises(OSError, match="No space left"):
        log.save()
    assert log.path.read_text() == written


def test_a_folder_that_may_not_be_written_keeps_its_checkpoint(small: Path):
    path = small / "last.ckpt"
    SealedCheckpoints().save_checkpoint(state(1), path)
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    with pytest.raises(OSError, match="last.ckpt: cannot be written .*Read-only file system"):
        SealedCheckpoints().save_checkpoint(state(2), path)
    assert SealedCheckpoints().load_checkpoint(path)["step"] == 1
