"""Products in float32, rounded: what a unit for bfloat16 gives, forward and backward."""

import torch
from torch import nn

from duhamel.benchmark.rounded_products import RoundedProducts


def gradients(model: nn.Module, u: torch.Tensor) -> list[torch.Tensor]:
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(u)
    out.float().square().sum().backward()
    return [out.detach().float(), *(p.grad.clone() for p in model.parameters())]


def test_numbers_are_those_of_bfloat16() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(3, 8, 1), nn.GELU(), nn.Conv1d(8, 2, 3, padding=1), nn.Flatten(), nn.Linear(32, 4))
    u = torch.randn(5, 3, 16)
    plain = gradients(model, u)
    with RoundedProducts():
        rounded = gradients(model, u)
    exact = [model(u).detach()]
    for a, b in zip(plain, rounded, strict=True):
        # Sums in another order: now and then the neighbouring number.
        assert float((a - b).norm() / a.norm()) < torch.finfo(torch.bfloat16).eps
    assert 1e-4 < float((rounded[0] - exact[0]).norm() / exact[0].norm()) < 1e-1  # in bfloat16 it is


def test_other_numbers_are_left_alone() -> None:
    a, b = torch.randn(4, 5, 6), torch.randn(4, 6, 7)
    with RoundedProducts():
        assert torch.equal(a @ b, torch.bmm(a, b)) and (a @ b).dtype == torch.float32
        half = a.bfloat16() @ b.bfloat16()
    assert torch.equal(half, (a.bfloat16().float() @ b.bfloat16().float()).bfloat16())
