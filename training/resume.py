"""When a training is written down, so that one that was killed goes on as if nothing had happened."""

import signal
import threading
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from duhamel.training.metrics_log import MetricsCSV

LAST = "last.ckpt"
# By these a cluster announces that the time is over; Lightning (Slurm) and submitit handle one each.
REQUEUE = (signal.SIGUSR1, signal.SIGUSR2)


class LastCheckpoint(Checkpoint):
    """Writes `last.ckpt`: at the end of every epoch, every so many optimiser steps within one, and on SIGTERM.

    Everything random in a training is a function of seed, epoch and step, so weights, moments, the place in the epoch,
    the losses of its part so far and the number of rows in metrics.csv are all that a run is. Within an epoch nothing
    is written while gradients are being accumulated, nor during validation, whose weights are the average.

    every_n_steps: optimiser steps between two checkpoints within an epoch; None for those at its end only.
    The handler of SIGUSR1 and SIGUSR2, by which a cluster announces the end (Lightning's saves and requeues), waits for
    the next such moment: run at once, it could save half of a step.
    """

    def __init__(self, *, dirpath: str, every_n_steps: int | None = None) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"every_n_steps must be at least 1, or null, got {every_n_steps}")
        self.path = Path(dirpath) / LAST
        self.every_n_steps = every_n_steps
        self._saved_at = -1
        self._rows: int | None = None
        self._place: dict[str, Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._requested: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for log in _metrics_logs(trainer):
            log.begin(self._rows)
        if self._place is not None and (loader := trainer.train_dataloader) is not None:
            loader.load_state_dict(self._place)
        if threading.current_thread() is threading.main_thread():
            for number in REQUEUE:
                if callable(signal.getsignal(number)):
                    self._handlers[number] = signal.signal(number, self._request)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._requested = number

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # The last step of an epoch, and any before a validation: what comes then is saved at the epoch's end.
        validates = trainer.val_check_batch and (batch_idx + 1) % trainer.val_check_batch == 0
        if trainer.is_last_batch or validates or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        due = self.every_n_steps is not None and trainer.global_step % self.every_n_steps == 0
        if due or trainer.should_stop or trainer.received_sigterm or self._requested is not None:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not stopped_within_epoch(trainer):
            self._save(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        # Validation may outlast the time that is left; the checkpoint before it stands.
        if trainer.received_sigterm:
            raise SIGTERMException

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # Raised between two batches: where the second came, the step before it was whole.
        whole = trainer.fit_loop.epoch_loop.batch_progress.current.completed % trainer.accumulate_grad_batches == 0
        if isinstance(exception, SIGTERMException) and whole and trainer.training:
            self._save(trainer)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # Lightning saves the loader's place but does not restore it where the scheduler has asked for the loader.
        (self._place,) = checkpoint["loops"]["fit_loop"]["state_dict"].get("combined_loader", [None])
        self._rows = checkpoint.get("rows")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # Of the best as well: a run may go on from any checkpoint.
        for log in _metrics_logs(trainer):
            log.save()
            checkpoint["rows"] = log.n_rows

    def _save(self, trainer: Trainer) -> None:
        if trainer.global_step == self._saved_at:
            return
        trainer.save_checkpoint(self.path, weights_only=False)
        self._saved_at = trainer.global_step
        handler = self._handlers.get(self._requested) if self._requested is not None else None
        if self._requested is not None and callable(handler):
            number, self._requested = self._requested, None
            handler(number, None)


class BestModel(ModelCheckpoint):
    """Lightning's choice of the best model, except within an epoch that `max_time` broke off.

    The run that goes on from there would not have validated in that place: its best must not depend on it.
    A run folder may be moved or copied: its best model lies where this run's checkpoints do.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        best = here(state_dict["best_model_path"])
        if best and not Path(best).is_file():
            warnings.warn(f"{best} is not there: the best model is chosen among those from now on", stacklevel=2)
            return
        moved = {name: here(state_dict[name]) for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
        scores = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "best_k_models": scores, "dirpath": self.dirpath})

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not stopped_within_epoch(trainer):
            super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not stopped_within_epoch(trainer):
            super().on_train_epoch_end(trainer, pl_module)


def stopped_within_epoch(trainer: Trainer) -> bool:
    """Whether the training was asked to stop before the running epoch was through."""
    return trainer.should_stop and not trainer.is_last_batch


def _metrics_logs(trainer: Trainer) -> list[MetricsCSV]:
    return [logger for logger in trainer.loggers if isinstance(logger, MetricsCSV)]
