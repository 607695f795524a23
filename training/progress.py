"""The bar on the terminal."""

import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar

from duhamel.training.module import SurrogateModule


class Progress(RichProgressBar):
    """Lightning's bar, with loss and horizon of the last step.

    interval: seconds between two of its questions to the device; after an epoch it asks in any case.

    Whoever fetches a number waits until the device has computed it: at every step that would keep a GPU from running
    ahead.
    """

    def __init__(self, *, interval: float = 0.5) -> None:
        super().__init__()
        self.interval = interval
        self.due = 0.0
        self.shown: dict[str, Any] = {}

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        assert isinstance(pl_module, SurrogateModule)
        if time.monotonic() >= self.due:
            self.shown = {**self.shown, **super().get_metrics(trainer, pl_module), **pl_module.last_step()}
            self.due = time.monotonic() + self.interval
        return self.shown

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.due = 0.0
        super().on_train_epoch_end(trainer, pl_module)
