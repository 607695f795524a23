"""Exported steps: the same numbers from torch.export, AOTInductor and onnxruntime, on other batches and grids."""

import json
import math

import onnx
import onnxruntime
import pytest
import torch

from duhamel.fields import Boundary, Parameters, rollout
from duhamel.operators import FNO, FiLM, Normaliser, Operator, Surrogate, export
from duhamel.operators.export import export_program
from duhamel.operators.probe import registered
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


EXPORTED = {
    "FNO, low rank and FiLM": {
        "n_modes": 8,
        "width": 4,
        "n_layers": 1,
        "weight": "tucker",
        "rank": 0.5,
        "conditioning": FiLM(width=4),
    },
    "DeepONet": {"width": 4, "n_sensors": 4, "n_basis": 4, "n_frequencies": 2},
    "LowRankNO": {"width": 4, "n_layers": 1, "rank": 2, "n_frequencies": 2},
    "Transformer": {"width": 4, "n_layers": 1, "n_heads": 2, "n_frequencies": 2},
    "Persistence": {},
    "LocalNO, derivatives alone": {"n_modes": 8, "width": 4, "n_layers": 1, "n_nodes": 0},
    "SNO": {"n_modes": 4, "n_modes_out": 8, "width": 8, "n_layers": 1},
}
STENCILS = "stencils .*reach a number of points, not a length"
REFUSED = {
    "MgNO": ({"width": 4, "n_layers": 1}, f"it is bound to its grid: {STENCILS}"),
    "UNet": ({"width": 4}, f"it is bound to its grid: {STENCILS}"),
    "ClassicUNet": ({"width": 4, "n_levels": 2}, f"it is bound to its grid: {STENCILS}"),
    "PODRegression": ({"rank": 4}, "it is bound to its grid: its basis is samples on the trained grid"),
    "NSM": ({"modes": 9, "time_modes": 4, "width": 4, "n_layers": 1}, "it cannot be traced: .*data-dependent"),
    "LocalNO": (
        {"n_modes": 8, "width": 4, "n_layers": 1},
        "it cannot be traced: .*a kernel of fixed radius has another",
    ),
    "GraphKernelNO": ({"width": 4, "n_layers": 1}, "it cannot be traced: .*a ball of points has another form on each"),
    "UNO": ({"n_modes": 8, "width": 4, "multipliers": (1, 2)}, r"on a grid of \(49,\) points it fails: .*Guard failed"),
    "NeuralopFNO": ({"n_modes": 8, "hidden_channels": 4, "n_layers": 1}, "it cannot be traced: .*Constraints violated"),
}


def drawn_surrogate(name: str, arguments: dict) -> Surrogate:
    """With weights off their initial values."""
    operator = registered()[name.partition(",")[0]](line(), **arguments)
    with torch.no_grad():
        for parameter in operator.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return Surrogate(operator, Normaliser.fitted(line(), line_statistics()), trained_range={})


def test_every_operator_is_exported_or_refused_by_name():
    assert {name.partition(",")[0] for name in (*EXPORTED, *REFUSED)} == set(registered())


@pytest.mark.parametrize("name", EXPORTED)
def test_what_is_exported_serves_finer_and_coarser_grids(name):
    s = drawn_surrogate(name, EXPORTED[name])
    exported = export_program(s).module()
    for batch, n in ((1, 24), (4, 77)):
        u, params = inputs(s, batch, n)
        expected = s.on(s.problem.grid.with_shape((n,)))(u, params)
        torch.testing.assert_close(exported(*given(s, u, params)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_with_the_reason_and_works_on(name, tmp_path):
    arguments, reason = REFUSED[name]
    s = drawn_surrogate(name, arguments)
    u, params = inputs(s, 2, 32)
    before = s(u, params)
    with pytest.raises(ValueError, match=f"{name} has no graph for free grids; {reason}"):
        s.export(tmp_path / "s.onnx")
    assert not list(tmp_path.iterdir())
    assert torch.equal(s(u, params), before)


class Counting(Operator):
    """Scales the state by the points in a tenth of the domain."""

    def forward(self, u: torch.Tensor, params: Parameters) -> torch.Tensor:
        return u * sum(1.0 for _ in range(math.ceil(u.shape[-1] / 10)))


def test_no_file_holds_a_graph_that_is_wrong_on_other_grids(tmp_path, monkeypatch):
    """ONNX drops the guard that a tenth has as many points as on the grid that was traced; torch.export keeps it."""
    s = Surrogate(Counting(line()), Normaliser.fitted(line(), line_statistics()), trained_range={})
    with pytest.raises(ValueError, match=r"Counting .* on a grid of \(49,\) points it fails: .*Guard failed"):
        export_program(s)

    def unguarded(s: Surrogate) -> torch.export.ExportedProgram:
        step = export.Step(s).eval()
        return torch.export.export(step, step.example(), dynamic_shapes=step.dynamic_shapes())

    monkeypatch.setattr(export, "export_program", unguarded)
    with pytest.raises(ValueError, match=r"Counting .* on a grid of \(49,\) points its graph gives another result"):
        s.export(tmp_path / "s.onnx")
    assert not list(tmp_path.iterdir())


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"s.trt: a surrogate is exported as one of \['.onnx', '.pt2'\], not '.trt'"):
        surrogate("line").export(tmp_path / "s.trt")
    assert not list(tmp_path.iterdir())
