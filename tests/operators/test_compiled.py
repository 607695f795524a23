"""torch.compile and DistributedDataParallel on the model: one graph, the same numbers, the same gradients."""

import socket
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn.parallel import DistributedDataParallel

from duhamel.fields import Parameters, rollout
from duhamel.operators import FNO
from duhamel.operators.tracing import exporting
from tests.operators.problems import line

pytestmark = pytest.mark.usefixtures("unchecked")


def model_and_inputs() -> tuple[FNO, torch.Tensor, Parameters]:
    torch.manual_seed(0)
    model = FNO(line(16), n_modes=6, width=4, n_layers=1)
    return model, torch.randn(4, 1, 16), Parameters(torch.rand(4, 1), torch.zeros(4, 0, 16))


@pytest.mark.slow
def test_one_graph_serves_steps_rollouts_and_gradients():
    model, u, params = model_and_inputs()
    assert torch._dynamo.explain(model)(u, params).graph_break_count == 0
    torch._dynamo.reset()
    expected = rollout(lambda v, p: v + model(v, p), u, params, 2)
    expected.square().mean().backward()
    reference = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    compiled, _, _ = model_and_inputs()
    # One step in machine code, taken twice; that a rollout is one graph, too, needs no code.
    step = torch.compile(lambda w, p: w + compiled(w, p), fullgraph=True)
    together = torch.compile(
        lambda v: rollout(lambda w, p: w + compiled(w, p), v, params, 2), backend="eager", fullgraph=True
    )
    torch.testing.assert_close(together(u), expected, rtol=1e-5, atol=1e-5)
    got = rollout(step, u.requires_grad_(), params, 2)  # the second state asks for a gradient: one graph for both
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    got.square().mean().backward()
    for gradient, truth in zip((p.grad for p in compiled.parameters()), reference, strict=True):
        torch.testing.assert_close(gradient, truth, rtol=1e-4, atol=1e-5 * truth.abs().max().item())
    torch._dynamo.reset()


def _gradients_of_half(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    model, u, params = model_and_inputs()
    half = slice(2 * rank, 2 * rank + 2)
    parallel = DistributedDataParallel(model)
    parallel(u[half], Parameters(params.scalars[half], params.fields[half])).square().mean().backward()
    torch.save([p.grad for p in model.parameters()], Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_average_the_gradients_of_their_halves(tmp_path: Path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    multiprocessing.start_processes(_gradients_of_half, (port, str(tmp_path)), nprocs=2, start_method="fork")
    model, u, params = model_and_inputs()
    model(u, params).square().mean().backward()
    for rank in range(2):
        for got, parameter in zip(torch.load(tmp_path / f"{rank}.pt"), model.parameters(), strict=True):
            torch.testing.assert_close(got, parameter.grad, rtol=1e-4, atol=1e-6)


class Traced(torch.nn.Module):
    """Adds one where nothing is being exported."""

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        return u if exporting() else u + 1


def test_compiled_graphs_are_not_taken_for_exported_ones():
    u = torch.zeros(1)
    assert torch.compile(Traced(), backend="eager", fullgraph=True)(u) == 1
    assert torch.export.export(Traced(), (u,)).module()(u) == 0
