"""What a compiled operator keeps for its gradients is a choice; its gradients are not."""

from functools import partialmethod

import pytest
import torch
from torch import nn

from duhamel.fields import Parameters
from duhamel.operators import FNO
from duhamel.training.compiled import compiled
from tests.operators.problems import line


@pytest.mark.usefixtures("unchecked")
def test_less_is_kept_for_the_same_gradients(monkeypatch):
    """Without machine code: graphs are cut in two as for it."""
    to_graph = partialmethod(nn.Module.compile, backend="aot_eager_decomp_partition")
    monkeypatch.setattr(nn.Module, "compile", to_graph)
    monkeypatch.setattr(torch._functorch.config, "activation_memory_budget", 1.0)  # put back after the test
    kept, gradients = [], []
    for share in (1.0, 0.3):
        torch._dynamo.reset()
        torch.manual_seed(0)
        operator = compiled(FNO(line(64), n_modes=6, width=16, n_layers=2), True, share)
        sizes: list[int] = []

        def pack(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            out = operator(
                torch.linspace(-1, 1, 256).reshape(4, 1, 64), Parameters(torch.ones(4, 1), torch.zeros(4, 0, 64))
            )
        out.square().mean().backward()
        kept.append(sum(sizes))
        gradients.append([p.grad for p in operator.parameters()])
    torch._dynamo.reset()
    assert kept[1] < 0.6 * kept[0], kept
    for less, all_kept in zip(gradients[1], gradients[0], strict=True):
        torch.testing.assert_close(less, all_kept, rtol=1e-4, atol=1e-6)
