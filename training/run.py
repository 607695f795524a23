"""Where a run lives, and what a resumed one must not lose."""

import warnings
from pathlib import Path

from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


def run_folder(ckpt_path: str | None, fresh: str) -> str:
    """The run that a checkpoint (RUN/checkpoints/NAME.ckpt) belongs to, `fresh` where there is none.

    A resumed run goes on in its own folder: the best model so far stays in the contest.
    """
    return fresh if ckpt_path is None else str(Path(ckpt_path).resolve().parent.parent)


def open_run(run: Path) -> None:
    """Readies the folder of a new or a resumed run.

    Metrics of the part before a resume, which the CSV logger would overwrite, are set aside as metrics_1.csv, ...
    """
    # The folder already holds the job's log when that logger finds it; the second is between Lightning and torch.
    warnings.filterwarnings("ignore", message="Experiment logs directory|`isinstance.treespec, LeafSpec")
    metrics = run / "metrics.csv"
    if metrics.is_file():
        part = 1
        while (run / f"metrics_{part}.csv").exists():
            part += 1
        metrics.rename(run / f"metrics_{part}.csv")


def best_checkpoint(trainer: Trainer) -> str | None:
    """What `Trainer.test` is to load: the best model by validation, the weights in memory where none was validated."""
    if isinstance(trainer.checkpoint_callback, ModelCheckpoint) and trainer.checkpoint_callback.best_model_path:
        return "best"
    warnings.warn("no validation took place: the last weights are tested and saved", stacklevel=2)
    return None
