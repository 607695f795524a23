"""What watches a training beside the loop."""

from collections.abc import Callable
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

Tensors = tuple[Tensor, ...] | list[Tensor]


def moving_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Moves means towards the current weights, in place: mean <- share mean + (1 - share) current.

    After n updates share = min(decay, (1 + n) / (10 + n)), so that a short training does not drag its first weights
    along.
    """

    def move(means: Tensors, currents: Tensors, n_averaged: Tensor | int) -> None:
        share = torch.clamp((1.0 + torch.as_tensor(n_averaged)) / (10.0 + torch.as_tensor(n_averaged)), max=decay)
        # All tensors at once, and the share stays on the device.
        change = torch._foreach_sub(currents, means)
        torch._foreach_mul_(change, 1 - share.to(means[0]))
        torch._foreach_add_(means, change)

    return move


class AverageWeights(WeightAveraging):
    """Validates, tests and saves an exponential moving average of the weights, which training itself never sees.

    Buffers (the normaliser) are not averaged.
    """

    def __init__(self, *, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in [0, 1), got {decay}")
        super().__init__(use_buffers=False, multi_avg_fn=moving_average(decay))

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # Lightning would put the weights under training back in place of the average that is to be tested.
        if trainer.state.fn is TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


class ValidateAtEnd(Callback):
    """The last epoch of a training is validated too, so that its weights compete for the best."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A run resumed within its last epoch does not start that epoch again.
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.max_epochs == trainer.current_epoch + 1:
            trainer.check_val_every_n_epoch = 1


class StopWhenNotFinite(Callback):
    """Ends the training with the step named when a loss is NaN or infinite.

    The test stays on the device; the host looks every `every_n_steps` steps and at the end of each epoch, so the stop
    may come some steps late, never with the wrong step. Raises FloatingPointError.
    """

    def __init__(self, *, every_n_steps: int = 50) -> None:
        self.every_n_steps = every_n_steps
        self.first: torch.Tensor | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"].detach()
        if self.first is None:
            self.first = torch.full((), -1, dtype=torch.long, device=loss.device)
        here = torch.where(loss.isfinite(), -1, trainer.global_step)
        self.first = torch.where(self.first < 0, here, self.first)
        if trainer.global_step % self.every_n_steps == 0:
            self._look(pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._look(pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # Weights after a loss that is not finite must not take the place of good ones.
        self._look(pl_module)

    def _look(self, pl_module: LightningModule) -> None:
        if self.first is not None and (step := int(self.first)) >= 0:
            raise FloatingPointError(
                f"the training loss is not finite at optimiser step {step} (epoch {pl_module.current_epoch}); the last "
                "checkpoint precedes it. Try a smaller learning rate, gradient clipping, or a slower curriculum"
            )
