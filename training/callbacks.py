"""What watches a training beside the loop.

On a GPU the host runs ahead: what asks the device for a number makes it wait until all is computed. So nothing here
asks at every step.
"""

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage(AveragedModel):
    """Means of a model's weights along its training, on a device: mean <- share mean + (1 - share) current.

    After n updates share = min(decay, (1 + n) / (10 + n)), so that a short training does not drag its first weights
    along. Buffers are the model's. The count stays on the host, which nothing here keeps waiting for the device.
    """

    def __init__(self, model: nn.Module, *, decay: float, device: torch.device | None = None) -> None:
        super().__init__(model, device=device)
        self.decay = decay
        self.n_averaged = self.n_averaged.cpu()

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        n = int(self.n_averaged)
        share = min(self.decay, (1 + n) / (10 + n)) if n else 0.0
        torch._foreach_lerp_(list(self.module.parameters()), list(model.parameters()), 1 - share)
        for mine, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)
        self.n_averaged += 1


class AverageWeights(WeightAveraging):
    """Validates, tests and saves an exponential moving average of the weights, which training itself never sees.

    Buffers (the normaliser) are not averaged.
    """

    def __init__(self, *, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in [0, 1), got {decay}")
        super().__init__()
        self.decay = decay

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        # Lightning asks the module where it is before it has moved it: its average would stay on the host, and every
        # weight be copied there at every step.
        if stage == "fit":
            self._average_model = MovingAverage(pl_module, decay=self.decay, device=trainer.strategy.root_device)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # Lightning would put the weights under training back in place of the average that is to be tested.
        if trainer.state.fn is TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


class ValidateAtEnd(Callback):
    """The last weights of a training are validated too, so that they compete for the best.

    The training ends with its last epoch or, where `max_steps` says so, within one, which is then validated there.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A run resumed within its last epoch does not start that epoch again.
        self._look_ahead(trainer, trainer.fit_loop.epoch_loop.batch_progress.current.completed)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._look_ahead(trainer, 0)

    def _look_ahead(self, trainer: Trainer, n_done: int) -> None:
        """n_done: batches of this epoch that are through."""
        last = trainer.max_epochs == trainer.current_epoch + 1
        n_batches = trainer.num_training_batches
        if trainer.max_steps >= 0:
            within = n_done + (trainer.max_steps - trainer.global_step) * trainer.accumulate_grad_batches
            # The last batch of an epoch is a step, however many gradients it completes.
            last |= within >= n_batches > within - trainer.accumulate_grad_batches
            if n_done < within < n_batches:
                last, trainer.val_check_batch = True, min(within, int(trainer.val_check_batch or within))
        if last:
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
