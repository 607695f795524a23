"""The one training loop: unroll a surrogate along a window of true states, and compare."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from duhamel.fields import Parameters, Propagator, State, Trajectory, recomputed, rollout
from duhamel.metrics import Panel
from duhamel.operators import Surrogate
from duhamel.pdes import EQUATIONS
from duhamel.training.augmentation import Augmentation, NoAugmentation
from duhamel.training.balance import FixedWeights, ReLoBRaLo
from duhamel.training.curriculum import Curriculum
from duhamel.training.losses import Loss
from duhamel.training.processes import gathered_panel, shared_loss
from duhamel.training.terms import Term
from duhamel.training.unroll import Unroll


class SurrogateModule(LightningModule):
    """Fits a surrogate to windows of trajectories; validates and tests it by full rollouts in physical units.

    optimizer, scheduler: called with the parameters, and with the optimiser and the number of steps of the training.
    loss: on predictions and targets; None where `terms` do without targets.
    terms, balance: further losses by name, and what makes one of all; that of `loss` goes by the name "data".
    warmup: share of the training at whose start `terms` alone count.
    augmentation: applied to every training window.
    noise: standard deviation, in units of the encoded state, of Gaussian noise on every input of the operator.
    checkpoint: recompute activations in the backward pass instead of keeping them along the rollout.
    test_names: names of the test sets in the order of the test loaders; the first logs as test/..., the others as
        test_<name>/...
    data: plain values that identify the training data (hash, split); a checkpoint made on other data is refused.
    seed: of augmentation and noise, which depend on it and on the step alone: a resumed run draws the same numbers.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        *,
        loss: Loss | None,
        curriculum: Curriculum,
        unroll: Unroll,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[[Optimizer, int], LRScheduler],
        terms: Mapping[str, Term] | None = None,
        balance: nn.Module | None = None,
        warmup: float = 0.0,
        augmentation: Augmentation | None = None,
        noise: float = 0.0,
        checkpoint: bool = False,
        test_names: tuple[str, ...] = ("test",),
        data: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.surrogate = surrogate
        self.loss = loss
        self.curriculum = curriculum
        self.unroll = unroll
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.terms = dict(terms or {})
        if "data" in self.terms:
            raise ValueError('"data" is the name of the loss on targets: call the term otherwise')
        self.balance = balance or FixedWeights()
        self.warmup = warmup
        if not 0 <= warmup < 1 or ((loss is None or warmup > 0) and not self.terms):
            raise ValueError(
                f"warmup lies in [0, 1), got {warmup}; where the loss on targets is absent, then or always, there must "
                f"be training/terms, got {sorted(self.terms)}"
            )
        if warmup > 0 and isinstance(self.balance, ReLoBRaLo):
            raise ValueError(f"ReLoBRaLo compares all losses from the first step on: no warmup, got {warmup}")
        if noise > 0 and loss is None:
            raise ValueError(f"noise {noise} is of the states that the loss on targets starts from, and there is none")
        self.augmentation = augmentation or NoAugmentation()
        self.noise = noise
        self.checkpoint = checkpoint
        self.test_names = test_names
        self.data = dict(data or {})
        self.seed = seed
        self.panels: dict[str, Panel] = {}
        self.epoch_losses: list[Float[Tensor, ""]] = []
        self.horizon = 1  # of the last step

    def training_step(self, batch: Trajectory, batch_idx: int) -> Float[Tensor, ""]:
        # What layers draw (dropout) goes by the step as well: a resumed run needs no state of a generator.
        self._seed_layers(self._seed(batch_idx, stream=2))
        progress = self.trainer.global_step / self.trainer.estimated_stepping_batches
        horizon = self.curriculum.horizon(progress, batch.n_steps)
        # A batch smaller than the number of processes leaves some of them without a window.
        own = self._loss(batch, batch_idx, progress, horizon) if len(batch.u) else self._nothing()
        loss, mean = shared_loss(own, len(batch.u), self.trainer.strategy)
        self.epoch_losses.append(mean)
        self._record(mean, horizon, batch_idx)
        return loss

    def _nothing(self) -> Float[Tensor, ""]:
        """A loss whose every gradient is zero: all processes must have gradients of all weights."""
        return 0.0 * torch.stack([p.sum() for p in self.parameters()]).sum()

    def _loss(self, batch: Trajectory, batch_idx: int, progress: float, horizon: int) -> Float[Tensor, ""]:
        batch = self.augmentation(batch, self._generator(batch_idx, "cpu", stream=0))
        losses = {name: term(self.surrogate, batch) for name, term in self.terms.items()}
        if self.loss is not None and progress >= self.warmup:
            losses = {"data": self._on_targets(self.loss, batch, batch_idx, horizon), **losses}
        return self.balance(losses, self._generator(batch_idx, "cpu", stream=3))

    def _on_targets(self, loss: Loss, batch: Trajectory, batch_idx: int, horizon: int) -> Float[Tensor, ""]:
        normaliser = self.surrogate.normaliser
        z = normaliser.encode(batch.u.flatten(0, 1)).unflatten(0, batch.u.shape[:2])
        params = normaliser.encode_parameters(batch.params)
        prediction, target = self.unroll(self._step(batch_idx), z, params, horizon)
        return loss(prediction, target, batch.grid)

    def _seed_layers(self, seed: int) -> None:
        """torch.manual_seed for the devices in use: for each other one it formats a stack trace, at every step."""
        torch.default_generator.manual_seed(seed)
        if self.device.type != "cpu":
            torch.get_device_module(self.device).manual_seed(seed)

    def last_step(self) -> dict[str, float]:
        """Loss and horizon of the last training step; waits for the device. Empty before the first of an epoch."""
        if not self.epoch_losses:
            return {}
        return {"train/loss": self.epoch_losses[-1].item(), "train/horizon": float(self.horizon)}

    def transfer_batch_to_device(self, batch: Trajectory, device: torch.device, dataloader_idx: int) -> Trajectory:
        # Lightning copies tensors without waiting, but not objects that hold them. Elsewhere than on a GPU of CUDA such
        # copies may race (PyTorch's issue 83015).
        return batch.to(device, non_blocking=device.type == "cuda")

    def _record(self, loss: Float[Tensor, ""], horizon: int, batch_idx: int) -> None:
        """Rows of the loggers. Lightning writes them after a checkpoint of the step, which would then lack them."""
        self.horizon = horizon
        trainer: Any = self.trainer  # Lightning does not annotate log_every_n_steps
        steps = trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if steps and (trainer.global_step + 1) % trainer.log_every_n_steps == 0:
            self._write({"train/loss_step": loss, "train/horizon": float(horizon)}, trainer.global_step)

    def _write(self, row: dict[str, Any], step: int) -> None:
        for logger in self.loggers:
            logger.log_metrics({**row, "epoch": self.current_epoch}, step)

    def _step(self, batch_idx: int) -> Propagator:
        # Noise is added outside what is recomputed: drawn again, it would be another noise.
        encoded = recomputed(self.surrogate.step_encoded) if self.checkpoint else self.surrogate.step_encoded
        if not self.noise:
            return encoded
        generator = self._generator(batch_idx, self.device, stream=1)

        def step(z: State, params: Parameters) -> State:
            perturbation = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=z.device)
            return encoded(z + self.noise * perturbation, params)

        return step

    def _generator(self, batch_idx: int, device: torch.device | str, *, stream: int) -> torch.Generator:
        return torch.Generator(device).manual_seed(self._seed(batch_idx, stream=stream))

    def _seed(self, batch_idx: int, *, stream: int) -> int:
        # A symmetry (stream 0) is drawn once for the whole batch, whichever processes share it.
        rank = self.global_rank if stream else 0
        drawn_for = np.random.SeedSequence([self.seed, self.current_epoch, batch_idx, rank, stream])
        return int(drawn_for.generate_state(1)[0])

    def on_train_epoch_end(self) -> None:
        mean = torch.stack([loss.to(self.device) for loss in self.epoch_losses]).mean().item()
        self.epoch_losses.clear()
        self.curriculum.observe(mean)
        self._write({"train/loss_epoch": mean}, self.trainer.global_step - 1)

    def on_validation_epoch_start(self) -> None:
        self.panels = {"val": self._panel()}

    def validation_step(self, batch: Trajectory, batch_idx: int) -> None:
        self._compare(batch, self.panels["val"])

    def on_validation_epoch_end(self) -> None:
        self._gather_panels()
        for name, value in self.panels["val"].compute().items():
            self.log(f"val/{name}", value, prog_bar=name == "rollout_relative_l2", sync_dist=True)

    def on_test_epoch_start(self) -> None:
        self.panels = {name: self._panel() for name in self.test_names}

    def test_step(self, batch: Trajectory, batch_idx: int, dataloader_idx: int = 0) -> None:
        # Not lowered: the figures are those of the file, which is loaded without autocast.
        with torch.autocast(self.device.type, enabled=False):
            self._compare(batch, self.panels[self.test_names[dataloader_idx]])

    def on_test_epoch_end(self) -> None:
        self._gather_panels()

    def test_metrics(self) -> dict[str, float]:
        """Metrics of every test set after `trainer.test`: the first as test/..., the others as test_<name>/..."""
        prefixes = ("test", *(f"test_{name}" for name in self.test_names[1:]))
        return {
            f"{prefix}/{key}": value
            for prefix, name in zip(prefixes, self.test_names, strict=True)
            for key, value in self.panels[name].compute().items()
        }

    def _panel(self) -> Panel:
        equation = EQUATIONS.get(self.surrogate.problem.equation)
        return Panel(self.surrogate.problem, pde=equation() if equation else None)

    def _gather_panels(self) -> None:
        """Those of all processes; says which rollouts are not finite, whose errors no mean leaves out."""
        self.panels = {name: gathered_panel(panel) for name, panel in self.panels.items()}
        for name, panel in self.panels.items():
            if (step := panel.first_divergence()) is not None:
                warnings.warn(
                    f"epoch {self.current_epoch}: {panel.compute()['rollout_diverged']:.0%} of the {name} rollouts are "
                    f"not finite, the first from step {step} on; try a longer time on short horizons, input noise or a "
                    "smaller learning rate",
                    stacklevel=2,
                )

    def _compare(self, batch: Trajectory, panel: Panel) -> None:
        """One full rollout from the first state, and one step from every true state."""
        surrogate = self.surrogate.on(batch.grid)
        initial, target = batch.u[:, 0], batch.u[:, 1:]
        # Ranges of other parts may begin where a logarithm, chosen by those of training, does not.
        surrogate.normaliser.check_positive(initial, batch.params)
        if not len(target):  # this process's share of a small batch; the panel counts batches
            panel.update(target, target, initial=initial, params=batch.params, grid=batch.grid)
            if batch.n_steps > 1:
                panel.update_one_step(target, target)
            return
        prediction = rollout(surrogate, initial, batch.params, batch.n_steps)
        panel.update(prediction, target, initial=initial, params=batch.params, grid=batch.grid)
        if batch.n_steps > 1:
            one_step = [surrogate(u, batch.params) for u in batch.u[:, :-1].unbind(1)]
            panel.update_one_step(torch.stack(one_step, dim=1), target)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        if math.isinf(n_steps := self.trainer.estimated_stepping_batches):
            raise ValueError(
                "neither trainer.max_epochs nor max_steps bounds the training, and schedules and curricula go by its "
                "length: set one of them; trainer.max_time may end it earlier"
            )
        optimizer = self.optimizer(self.surrogate.parameters())
        scheduler = self.scheduler(optimizer, int(n_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["curriculum"] = self.curriculum.state_dict()
        checkpoint["data"] = self.data
        checkpoint["epoch_losses"] = [loss.item() for loss in self.epoch_losses]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name, value in self.data.items():
            if checkpoint["data"].get(name) != value:
                raise ValueError(
                    f"the checkpoint was made on other data: its {name} is {str(checkpoint['data'].get(name)):.80}, "
                    f"that of this run {str(value):.80}. Resume with the files, the split and the seed of that run"
                )
        self.curriculum.load_state_dict(checkpoint["curriculum"])
        self.epoch_losses = [torch.tensor(loss) for loss in checkpoint["epoch_losses"]]
