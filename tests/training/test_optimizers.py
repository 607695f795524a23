"""Fused optimisers take the steps of those they stand for."""

import lightning
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from duhamel.training.optimizers import adam, adamw


@pytest.mark.parametrize(("ours", "theirs"), [(adam, torch.optim.Adam), (adamw, torch.optim.AdamW)])
def test_steps_are_those_of_the_plain_optimiser(ours, theirs):
    start = torch.randn(5, dtype=torch.float64)
    weights = [nn.Parameter(start.clone()) for _ in range(2)]
    options = {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.3}
    optimizers = [ours([weights[0]], **options), theirs([weights[1]], fused=False, **options)]
    for _ in range(20):
        for weight, optimizer in zip(weights, optimizers, strict=True):
            optimizer.zero_grad()
            (weight - 1).pow(4).sum().backward()
            optimizer.step()
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-12, atol=1e-12)


def test_real_weights_take_the_fused_kernel_and_complex_ones_train():
    real, complex_ = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2, dtype=torch.complex64))
    assert adamw([real], lr=0.1).defaults["fused"]
    optimizer = adamw([real, complex_], lr=0.1)
    complex_.abs().square().sum().backward()
    optimizer.step()
    assert not optimizer.defaults["fused"] and (complex_.real < 1).all()


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_gradients_are_clipped_in_mixed_precision(tmp_path):
    """Before the step: a fused kernel would undo the scaling within it, too late."""

    class Line(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.slope = nn.Linear(1, 1)

        def training_step(self, batch, batch_idx):
            return 1e3 * self.slope(batch).square().mean()

        def on_before_optimizer_step(self, optimizer):
            self.norm = nn.utils.get_total_norm([p.grad for p in self.parameters()])

        def configure_optimizers(self):
            return adamw(self.parameters(), lr=0.1)

    model, seen = Line(), []
    step = torch.optim.AdamW.step

    def look(self, closure=None):
        loss = closure()
        seen.append(nn.utils.get_total_norm([p.grad for p in model.parameters()]))
        return step(self, lambda: loss)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", look)
        lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            precision="bf16-mixed",
            gradient_clip_val=0.5,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        ).fit(model, DataLoader([torch.ones(1)]))
    assert model.norm > 0.5
    assert seen == [pytest.approx(0.5, rel=1e-3)]
