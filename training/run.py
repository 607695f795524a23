"""Where a run lives, who may write to it, and what a resumed one must not lose."""

import logging
import os
import platform
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf

from duhamel.operators import Surrogate
from duhamel.training.checkpoints import previous
from duhamel.training.resume import LAST

# Workers of a run that was killed hold on for some seconds.
PATIENCE = 10.0
# By these launchers tell a process which one it is, before Lightning is asked for anything.
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")

log = logging.getLogger(__name__)


def run_folder(ckpt_path: str | None, fresh: str) -> str:
    """The run that a checkpoint (RUN/checkpoints/NAME.ckpt) belongs to, `fresh` where there is none.

    A resumed run goes on in its own folder: the best model so far stays in the contest. "last" stands for the youngest
    run beside `fresh` that has a checkpoint.
    """
    if ckpt_path is None:
        return fresh
    if ckpt_path == "last":
        found = sorted(Path(fresh).parent.glob(f"*/checkpoints/{LAST}"), key=lambda path: path.stat().st_mtime)
        return str(found[-1].parent.parent.resolve()) if found else fresh
    return str(Path(ckpt_path).resolve().parent.parent)


def resumed_from(ckpt_path: str | None, run: Path) -> Path | None:
    """The checkpoint to go on from, None where there is none; "last" is that of `run`, if it has got that far."""
    if ckpt_path is None:
        return None
    path = run / "checkpoints" / LAST if ckpt_path == "last" else Path(ckpt_path)
    if path.is_file() or previous(path).is_file():
        return path
    if ckpt_path == "last":
        log.info(f"{run} has no checkpoint yet: the training starts from its beginning")
        return None
    raise FileNotFoundError(f"ckpt_path={ckpt_path}: no such checkpoint")


@contextmanager
def open_run(run: Path, cfg: DictConfig, checkpoint: Path | None) -> Iterator[None]:
    """The folder of a new or a resumed run, for this run alone; config.yaml in it is `cfg`.

    Raises ValueError where another run writes to it.
    Metrics and checkpoints that a new run finds are set aside as metrics_1.csv, checkpoints_1, ...; a resumed one goes
    on with them. Of several processes of one training the first opens the folder.
    """
    # Between Lightning and torch.
    warnings.filterwarnings("ignore", message="`isinstance.treespec, LeafSpec")
    # Lightning would like the data module to move the batches.
    warnings.filterwarnings("ignore", message="You have overridden `transfer_batch_to_device` in `LightningModule` but")
    if any(int(os.environ.get(name, 0)) for name in RANKS):
        yield
        return
    try:
        with FileLock(run / ".lock", timeout=PATIENCE):
            if checkpoint is None:
                _set_aside(run / "metrics.csv")
                _set_aside(run / "checkpoints")
            OmegaConf.save(cfg, run / "config.yaml", resolve=True)
            yield
    except Timeout as error:
        raise ValueError(f"{run}: another run is writing here; wait for it, or choose another hydra.run.dir") from error


def _set_aside(path: Path) -> None:
    """Under a name with a number, where there is something."""
    part = 1
    while (other := path.with_name(f"{path.stem}_{part}{path.suffix}")).exists():
        part += 1
    if path.exists():
        path.rename(other)


@contextmanager
def clocked(surrogate: Surrogate, amount: Mapping[str, int], trainer: Trainer, *, resumed: bool) -> Iterator[None]:
    """The surrogate's card learns what was spent: data (`amount`), epochs, seconds of the training, device and threads.

    processor_seconds: of all threads; where others use the machine they say more than those of the clock.
    A resumed run does not know what went before: its seconds are null.
    """
    start, used = time.perf_counter(), time.process_time()
    yield
    spent = {"training_seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - used}
    root = trainer.strategy.root_device
    device = torch.cuda.get_device_name(root) if root.type == "cuda" else platform.machine()
    surrogate.add_cost(
        {
            **amount,
            "n_epochs": trainer.current_epoch,
            **{name: None if resumed else round(seconds, 3) for name, seconds in spent.items()},
            "device": device,
            "threads": torch.get_num_threads(),
        }
    )


def best_checkpoint(trainer: Trainer) -> str | None:
    """The checkpoint that `Trainer.test` is to load: the best by validation, None (the weights in memory) without."""
    if isinstance(trainer.checkpoint_callback, ModelCheckpoint) and trainer.checkpoint_callback.best_model_path:
        return trainer.checkpoint_callback.best_model_path
    warnings.warn("no validation took place: the last weights are tested and saved", stacklevel=2)
    return None


OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)
