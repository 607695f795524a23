"""The bar on the terminal."""

from pathlib import Path

import lightning
import pytest

from duhamel.training import Progress
from tests.training.test_module import loader, module, shifted_waves

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.mark.parametrize(("interval", "n_asked"), [(0.0, 10), (1e9, 3)])
def test_the_device_is_asked_for_the_loss_once_an_interval_and_after_an_epoch(
    tmp_path: Path, interval, n_asked, monkeypatch
):
    """Two epochs of four steps."""
    bar, subject, answers = Progress(interval=interval), module(), []
    ask = type(subject).last_step
    monkeypatch.setattr(type(subject), "last_step", lambda self: answers.append(ask(self)) or answers[-1])
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=2,
        callbacks=[bar],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(subject, loader(shifted_waves(8), 2))
    assert len(answers) == n_asked
    assert bar.shown["train/loss"] == answers[-1]["train/loss"] > 0
