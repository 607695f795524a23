"""Exported steps: the same numbers from torch.export, AOTInductor and onnxruntime, on other batches and grids."""

import json

import onnx
import onnxruntime
import pytest
import torch

from duhamel.fields import Boundary, Parameters, rollout
from duhamel.operators import FNO, Normaliser, Surrogate
from duhamel.operators.export import export_program
from tests.operators.problems import line, line_statistics, plane, plane_statistics

pytestmark = pytest.mark.usefixtures("unchecked")


def surrogate(kind: str) -> Surrogate:
    torch.manual_seed(0)
    if kind == "line":
        operator = FNO(line(), n_modes=8, width=8, n_layers=1)
        return Surrogate(operator, Normaliser.fitted(line(), line_statistics()), trained_range={})
    problem = plane() if kind == "plane" else line(boundary=Boundary.DIRICHLET)
    operator = FNO(problem, n_modes=8, width=8, n_layers=1, position=True, padding=0.25)
    statistics = plane_statistics() if kind == "plane" else line_statistics()
    return Surrogate(operator, Normaliser.fitted(problem, statistics), trained_range={})


def inputs(s: Surrogate, batch: int, n: int) -> tuple[torch.Tensor, Parameters]:
    space, problem = (n,) * s.problem.grid.ndim, s.problem
    generator = torch.Generator().manual_seed(1)
    u = torch.randn(batch, 1, *space, generator=generator)
    scalars = torch.rand(batch, len(problem.scalars), generator=generator)
    return u, Parameters(scalars, 3 + torch.rand(batch, len(problem.coefficients), *space, generator=generator))


def given(s: Surrogate, u: torch.Tensor, params: Parameters) -> tuple[torch.Tensor, ...]:
    return (u, *([params.scalars] if s.problem.scalars else []), *([params.fields] if s.problem.coefficients else []))


@pytest.mark.parametrize("kind", ["line", "bounded line", "plane"])
def test_one_graph_serves_all_batches_and_grids(kind):
    s = surrogate(kind)
    exported = export_program(s).module()
    for batch, n in ((2, 32), (1, 24), (5, 49)):
        u, params = inputs(s, batch, n)
        there = s.on(s.problem.grid.with_shape(tuple(u.shape[2:])))
        torch.testing.assert_close(exported(*given(s, u, params)), there(u, params), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["line", "plane"])
def test_onnxruntime_takes_the_same_steps(kind, tmp_path):
    s = surrogate(kind)
    s.export(tmp_path / "s.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "s.onnx", providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    for batch, n in ((2, 12), (3, 20)):
        u, params = inputs(s, batch, n)
        there = s.on(s.problem.grid.with_shape(tuple(u.shape[2:])))
        expected = rollout(there, u, params, 20 if kind == "line" else 1)
        v = u.numpy()
        for step in range(expected.shape[1]):
            rest = [t.numpy() for t in given(s, u, params)[1:]]
            (v,) = session.run(["u_next"], dict(zip(names, [v, *rest], strict=True)))
            reference = expected[:, step]
            scale = reference.abs().max().item()
            torch.testing.assert_close(torch.from_numpy(v), reference.detach(), rtol=0, atol=1e-5 * scale)
    operations = {node.op_type for node in onnx.load(tmp_path / "s.onnx").graph.node}
    assert not operations & {"DFT", "STFT"}
    (entry,) = [p for p in onnx.load(tmp_path / "s.onnx").metadata_props if p.key == "duhamel"]
    assert json.loads(entry.value)["operator"]["_target_"] == "duhamel.operators.FNO"


@pytest.mark.slow
def test_an_aotinductor_package_takes_the_same_step(tmp_path):
    s = Surrogate(
        FNO(line(), n_modes=8, width=4, n_layers=1),
        Normaliser.fitted(line(), line_statistics()),
        trained_range={},
    )
    s.export(tmp_path / "s.pt2")
    step = torch._inductor.aoti_load_package(str(tmp_path / "s.pt2"))
    for batch, n in ((2, 32), (3, 50)):
        u, params = inputs(s, batch, n)
        there = s.on(s.problem.grid.with_shape((n,)))
        torch.testing.assert_close(step(*given(s, u, params)), there(u, params).detach(), rtol=1e-5, atol=1e-5)


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"s.trt: a surrogate is exported as one of \['.onnx', '.pt2'\], not '.trt'"):
        surrogate("line").export(tmp_path / "s.trt")
    assert not list(tmp_path.iterdir())
