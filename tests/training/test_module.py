"""The loop end to end on tiny data: it learns, stops, resumes, and tests the best weights."""

import math
import platform
from functools import partial
from pathlib import Path

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

import duhamel
from duhamel.fields import Moments, Parameters, Statistics, Trajectory, rollout
from duhamel.metrics import relative_l2
from duhamel.operators import CAPE, FNO, Concatenation, Normaliser, Surrogate
from duhamel.operators.card import trained_range
from duhamel.training import AverageWeights, StopWhenNotFinite, SurrogateModule, ValidateAtEnd
from duhamel.training.augmentation import NoAugmentation, SwapAxes
from duhamel.training.balance import ReLoBRaLo
from duhamel.training.callbacks import MovingAverage
from duhamel.training.curriculum import LossGated
from duhamel.training.losses import RelativeL2
from duhamel.training.run import clocked, open_run
from duhamel.training.schedules import cosine, one_cycle
from duhamel.training.terms import IntermediateLoss, PhysicsResidual
from duhamel.training.unroll import Segments
from tests.operators.problems import line, moments

PROBLEM = line(16)


def shifted_waves(n_samples: int) -> Trajectory:
    """u(x, t) = sin(2 pi (x - c t)): the parameter is the speed."""
    c = torch.linspace(0.1, 0.9, n_samples)
    x, t = PROBLEM.grid.coordinates(dtype=torch.float32)[0], PROBLEM.dt * torch.arange(5.0)
    u = torch.sin(2 * math.pi * (x - c[:, None, None] * t[:, None]))[:, :, None]
    return Trajectory(u, Parameters(c[:, None], torch.zeros(n_samples, 0, 16)), PROBLEM.grid, PROBLEM.dt)


def loader(trajectory: Trajectory, batch_size: int) -> DataLoader:
    batches = [
        Trajectory(
            trajectory.u[i : i + batch_size], trajectory.params[i : i + batch_size], trajectory.grid, trajectory.dt
        )
        for i in range(0, len(trajectory.u), batch_size)
    ]
    return DataLoader(batches, batch_size=None)


def module(curriculum=None, **kwargs) -> SurrogateModule:
    torch.manual_seed(0)
    data = shifted_waves(8)
    empty: Moments = moments()
    statistics = Statistics(moments(data.u), moments(data.u.diff(dim=1)), moments(data.params.scalars), empty)
    surrogate = Surrogate(
        FNO(PROBLEM, n_modes=4, width=8, n_layers=2, conditioning=kwargs.pop("conditioning", Concatenation())),
        Normaliser.fitted(PROBLEM, statistics),
        trained_range=trained_range(PROBLEM, statistics),
    )
    return SurrogateModule(
        surrogate,
        loss=RelativeL2(),
        curriculum=curriculum or LossGated(threshold=0.5, patience=2),
        unroll=Segments(),
        optimizer=partial(torch.optim.AdamW, lr=5e-3),
        scheduler=kwargs.pop("scheduler", cosine),
        **kwargs,
    )


def trainer(folder: Path, epochs: int, **kwargs) -> lightning.Trainer:
    checkpoint = ModelCheckpoint(
        dirpath=folder, filename="best", monitor="val/rollout_relative_l2", save_last=True, enable_version_counter=False
    )
    return lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[checkpoint, AverageWeights(decay=0.9), StopWhenNotFinite(every_n_steps=1), ValidateAtEnd()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **kwargs,
    )


def fit(subject: SurrogateModule, folder: Path, epochs: int, *, ckpt_path=None, **kwargs) -> lightning.Trainer:
    run = trainer(folder, epochs, **kwargs)
    run.fit(subject, loader(shifted_waves(8), 2), loader(shifted_waves(3), 3), ckpt_path=ckpt_path, weights_only=True)
    return run


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.mark.slow
def test_it_learns_to_shift_and_the_best_weights_are_the_ones_tested(tmp_path: Path):
    subject = module()
    run = fit(subject, tmp_path, 25, precision="bf16-mixed")
    best = run.checkpoint_callback.best_model_score.item()
    run.test(subject, loader(shifted_waves(3), 1), ckpt_path="best", weights_only=True, verbose=False)
    metrics = subject.test_metrics()
    # The same samples in batches of another size: the figure that chose the checkpoint comes back.
    assert metrics["test/rollout_relative_l2"] == pytest.approx(best, rel=2e-2)
    assert metrics["test/rollout_relative_l2"] < 0.3 * metrics["test/persistence_relative_l2"]
    averaged = torch.load(tmp_path / "best.ckpt", weights_only=True)["state_dict"]
    tested = subject.state_dict()
    assert all(torch.equal(tested[name], averaged[name]) for name in averaged)


def test_a_warm_up_trains_cape_and_leaves_the_operator_alone(tmp_path: Path):
    """Weight decay included, until targets count: for half of eight steps."""
    subject = module(conditioning=CAPE(width=4, n_modes=4), terms={"cape": IntermediateLoss()}, warmup=0.5)
    seen = [{name: p.detach().clone() for name, p in subject.surrogate.operator.named_parameters()}]

    class Watch(lightning.Callback):
        def on_train_batch_end(self, trainer, pl_module, *args):
            seen.append({n: p.detach().clone() for n, p in pl_module.surrogate.operator.named_parameters()})

    run = trainer(tmp_path, 2)
    run.callbacks.append(Watch())
    run.fit(subject, loader(shifted_waves(8), 2), loader(shifted_waves(3), 3))
    assert len(seen) == 9

    def moved(start: int, end: int) -> set[str]:
        return {name for name, before in seen[start].items() if not torch.equal(before, seen[end][name])}

    cape = {name for name in seen[0] if name.startswith("conditioning.")}
    assert moved(0, 4) == cape
    assert moved(4, 8) == set(seen[0])


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", [cosine, one_cycle])
def test_a_resumed_run_is_bit_equal_to_one_that_was_not_stopped(tmp_path: Path, scheduler):
    kwargs = {"noise": 0.05, "scheduler": scheduler}
    whole = module(**kwargs)
    fit(whole, tmp_path / "whole", 6)

    class Stop(lightning.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.should_stop = trainer.current_epoch == 2

    stopped = module(**kwargs)
    run = trainer(tmp_path / "parts", 6)
    run.callbacks.append(Stop())
    run.fit(stopped, loader(shifted_waves(8), 2), loader(shifted_waves(3), 3))
    assert run.global_step == 12
    resumed = module(**kwargs)
    fit(resumed, tmp_path / "parts", 6, ckpt_path=tmp_path / "parts" / "last.ckpt")
    assert resumed.curriculum.state_dict() == whole.curriculum.state_dict()
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_recomputation_changes_no_gradient(noise):
    gradients = []
    for checkpoint in (False, True):
        subject = module(noise=noise, checkpoint=checkpoint).double()
        subject.trainer = lightning.Trainer(accelerator="cpu", logger=False)
        batch = shifted_waves(4).to(torch.float64)
        z = subject.surrogate.normaliser.encode(batch.u.flatten(0, 1)).unflatten(0, batch.u.shape[:2])
        prediction, target = Segments()(subject._step(0), z, batch.params, 3)
        (prediction - target).square().mean().backward()
        gradients.append([p.grad for p in subject.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain, rtol=1e-12, atol=1e-14)


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path):
    fit(module(data={"hash": "a", "split": {"seed": 0}}), tmp_path, 1)
    with pytest.raises(ValueError, match="made on other data: its split is .'seed': 0., that of this run .'seed': 7."):
        fit(module(data={"hash": "a", "split": {"seed": 7}}), tmp_path, 2, ckpt_path=tmp_path / "last.ckpt")


def test_a_term_that_would_take_the_place_of_the_loss_on_targets_is_refused():
    with pytest.raises(ValueError, match="is the name of the loss on targets"):
        module(terms={"data": PhysicsResidual()})


def test_the_last_epoch_is_validated_whatever_the_interval(tmp_path: Path):
    run = fit(module(), tmp_path, 3, check_val_every_n_epoch=2)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 2
    assert run.checkpoint_callback.best_model_path


@pytest.mark.parametrize("max_steps", [6, 8, 9])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_last_step_is_validated_wherever_max_steps_ends_the_training(tmp_path: Path, max_steps, accumulate):
    """Epochs of 4 batches, validated every third: the best of losses that fall is the last step's, or none is."""
    validated = []

    class Watch(lightning.Callback):
        def on_validation_end(self, trainer, pl_module):
            validated.append(trainer.global_step)

    run = trainer(tmp_path, -1, max_steps=max_steps, check_val_every_n_epoch=3, accumulate_grad_batches=accumulate)
    run.callbacks.append(Watch())
    run.fit(module(), loader(shifted_waves(8), 2), loader(shifted_waves(3), 3))
    assert run.global_step == max_steps
    assert validated[-1] == max_steps
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == max_steps


def test_what_a_logarithm_cannot_take_is_named_in_validation(tmp_path: Path):
    """Training speeds are positive, one of validation is not: no rollout could say why it is not finite."""
    subject = module()
    subject.surrogate.normaliser.scalars.log.fill_(True)
    held_out = shifted_waves(3)
    held_out.params.scalars[1] = 0.0
    with pytest.raises(ValueError, match="must be positive, for its logarithm is taken: its least value is 0"):
        trainer(tmp_path, 1).fit(subject, loader(shifted_waves(8), 2), loader(held_out, 3))


def test_test_figures_are_those_of_the_file_in_its_own_precision(tmp_path: Path):
    """bf16-mixed trains and validates in bfloat16; who loads the surrogate computes in float32."""
    subject, held_out = module(), shifted_waves(3)
    run = fit(subject, tmp_path, 2, precision="bf16-mixed")
    run.test(subject, loader(held_out, 3), ckpt_path="best", weights_only=True, verbose=False)
    subject.surrogate.save(tmp_path / "surrogate.safetensors")
    loaded = duhamel.load(tmp_path / "surrogate.safetensors")
    with torch.no_grad():
        u = rollout(loaded, held_out.u[:, 0], held_out.params, held_out.n_steps)
    assert subject.test_metrics()["test/rollout_relative_l2"] == pytest.approx(
        float(relative_l2(u, held_out.u[:, 1:]).mean()), rel=1e-5
    )


def test_a_new_run_sets_aside_what_it_finds(tmp_path: Path):
    cfg = OmegaConf.create({"a": 1})
    for run in range(3):
        with open_run(tmp_path, cfg, None):
            assert not (tmp_path / "metrics.csv").exists() and not (tmp_path / "checkpoints").exists()
            (tmp_path / "checkpoints").mkdir()
            (tmp_path / "checkpoints" / "last.ckpt").write_text(str(run))
            (tmp_path / "metrics.csv").write_text(str(run))
    kept = [(tmp_path / f"checkpoints{n}" / "last.ckpt").read_text() for n in ("_1", "_2", "")]
    assert kept == [(tmp_path / f"metrics{n}.csv").read_text() for n in ("_1", "_2", "")] == ["0", "1", "2"]
    with open_run(tmp_path, cfg, tmp_path / "checkpoints" / "last.ckpt"):
        assert (tmp_path / "checkpoints" / "last.ckpt").read_text() == "2"


def test_a_training_without_an_end_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="neither trainer.max_epochs nor max_steps bounds the training"):
        fit(module(), tmp_path, -1, max_time={"seconds": 1})


def test_noise_depends_on_seed_epoch_and_step_alone():
    subject = module(seed=3)

    def draw(batch_idx: int) -> torch.Tensor:
        return torch.randn(4, generator=subject._generator(batch_idx, "cpu", stream=1))

    subject.trainer = lightning.Trainer(accelerator="cpu", logger=False)
    torch.manual_seed(1)
    first = draw(0)
    torch.manual_seed(2)
    assert torch.equal(draw(0), first)
    assert not torch.equal(draw(1), first)


def test_a_loss_that_is_not_finite_stops_with_its_step(tmp_path: Path):
    class Poisoned(RelativeL2):
        calls = 0

        def __call__(self, prediction, target, grid):
            self.calls += 1
            return super().__call__(prediction, target, grid) * (math.nan if self.calls == 6 else 1.0)

    subject = module()
    subject.loss = Poisoned()
    with pytest.raises(FloatingPointError, match="not finite at optimiser step 6 .epoch 1."):
        fit(subject, tmp_path, 4)
    assert (tmp_path / "last.ckpt").is_file()


def test_rollouts_that_are_not_finite_are_named_and_lose_no_training(tmp_path: Path):
    """They make errors infinite and no averages of the others; a finite validation after them is the better one."""
    subject = module()
    scale = subject.surrogate.normaliser.increment_scale.clone()

    class Mend(lightning.Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            subject.surrogate.normaliser.increment_scale.copy_(scale if trainer.current_epoch else 1e15)

    run = trainer(tmp_path, 2)
    run.callbacks.append(Mend())
    with pytest.warns(UserWarning, match="epoch 0: 100% of the val rollouts are not finite, .* step [1-4] on"):
        run.fit(subject, loader(shifted_waves(8), 2), loader(shifted_waves(3), 3))
    assert math.isfinite(run.checkpoint_callback.best_model_score)
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["global_step"] == 8

    subject.surrogate.normaliser.increment_scale.fill_(1e15)
    with pytest.warns(UserWarning, match="100% of the test rollouts are not finite"):
        run.test(subject, loader(shifted_waves(3), 3), verbose=False)
    metrics = subject.test_metrics()
    assert metrics["test/rollout_diverged"] == 1
    assert not math.isfinite(metrics["test/rollout_relative_l2"])
    assert math.isfinite(metrics["test/persistence_relative_l2"])


def test_swapped_axes_swap_states_and_coefficients_alike(generator):
    from tests.operators.problems import plane

    problem = plane(4)
    u = torch.randn(1, 2, 1, 4, 4, generator=generator)
    batch = Trajectory(u, Parameters(torch.zeros(1, 0), u[:, 0]), problem.grid, 0.0)
    swapped = [SwapAxes()(batch, torch.Generator().manual_seed(s)) for s in range(20)]
    kept = [torch.equal(s.u, u) for s in swapped]
    assert any(kept)
    assert not all(kept)
    for s in swapped:
        assert torch.equal(s.params.fields, s.u[:, 0])
    assert NoAugmentation()(batch, generator) is batch
    with pytest.raises(ValueError, match="differ: swapping them is no symmetry"):
        grid = problem.grid.with_shape((4, 5))
        SwapAxes()(Trajectory(u.new_zeros(1, 2, 1, 4, 5), Parameters.none(1, (4, 5)), grid, 0.0), generator)


def test_the_average_is_the_recursion_it_says():
    torch.manual_seed(0)
    model = torch.nn.BatchNorm1d(3, dtype=torch.float64)
    average = MovingAverage(model, decay=0.5)
    expected = None
    for n in range(12):
        with torch.no_grad():
            model.weight += torch.randn(3, dtype=torch.float64)
            model(torch.randn(4, 3, dtype=torch.float64))
        average.update_parameters(model)
        share = min(0.5, (1 + n) / (10 + n))
        now = model.weight.detach().clone()
        expected = now if expected is None else share * expected + (1 - share) * now
    torch.testing.assert_close(average.module.weight.detach(), expected)
    assert torch.equal(average.module.running_mean, model.running_mean)


def test_the_card_names_the_device_that_trained(monkeypatch):
    """Not the GPU that lies idle beside a training on the processor."""
    surrogate = Surrogate(FNO(PROBLEM, n_modes=4, width=2, n_layers=1), Normaliser(PROBLEM), trained_range={})
    options = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    trainer = lightning.Trainer(accelerator="cpu", max_epochs=1, enable_model_summary=False, **options)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "a GPU")
    with clocked(surrogate, {"n_trajectories": 1, "n_steps": 1}, trainer, resumed=False):
        pass
    assert surrogate.card["data"]["cost"]["device"] == platform.machine()


def test_options_that_could_not_act_are_refused():
    with pytest.raises(ValueError, match="ReLoBRaLo compares all losses from the first step on: no warmup, got 0.1"):
        module(terms={"physics": PhysicsResidual()}, balance=ReLoBRaLo(2), warmup=0.1)
    given = module(terms={"physics": PhysicsResidual()})
    with pytest.raises(ValueError, match="noise 0.1 is of the states"):
        SurrogateModule(
            given.surrogate,
            loss=None,
            curriculum=given.curriculum,
            unroll=given.unroll,
            optimizer=given.optimizer,
            scheduler=given.scheduler,
            terms=given.terms,
            noise=0.1,
        )
