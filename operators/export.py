"""A surrogate's step outside this library: as a graph of torch.export, an AOTInductor package, or ONNX.

The step takes and returns physical units: u of shape (batch, channel, *space), then `scalars` (batch, param) and
`fields` (batch, coefficient, *space) where the problem has them. Batch and grid are free; the operations are products,
so no runtime needs an FFT or complex numbers.

A graph may hold a number that was read off the grid it was traced on (how many points a ball has, say), and ONNX keeps
no guard against another grid. So what is exported is run on another batch and a finer grid, of odd sizes where the
trained ones are even, before it is handed out; where it does not give what the surrogate gives, the operator is
refused.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from duhamel.fields import Parameters

if TYPE_CHECKING:
    from duhamel.operators.surrogate import Surrogate


# Most that an exported step may be off: this share of the increment, and so many roundings of the state.
AGREEMENT, ROUNDINGS = 1e-3, 16


class Step(nn.Module):
    """The step as a function of tensors alone; inputs that the problem does not have are left out."""

    def __init__(self, surrogate: "Surrogate") -> None:
        super().__init__()
        self.surrogate = surrogate
        problem = surrogate.problem
        self.inputs = ["u", *(["scalars"] if problem.scalars else []), *(["fields"] if problem.coefficients else [])]

    def forward(self, u: Tensor, *params: Tensor) -> Tensor:
        given = dict(zip(self.inputs[1:], params, strict=True))
        scalars = given.get("scalars", u.new_zeros(u.shape[0], 0))
        fields = given.get("fields", u.new_zeros(u.shape[0], 0, *u.shape[2:]))
        result: Tensor = self.surrogate(u, Parameters(scalars, fields))
        return result

    def example(self, batch: int = 2) -> tuple[Tensor, ...]:
        """Inputs of the right shapes, in the dtype and on the device of the surrogate."""
        problem, like = self.surrogate.problem, self.surrogate.normaliser.increment_scale
        space = problem.grid.shape
        shapes = {
            "u": (len(problem.channels), *space),
            "scalars": (len(problem.scalars),),
            "fields": (len(problem.coefficients), *space),
        }
        return tuple(like.new_ones(batch, *shapes[name]) for name in self.inputs)

    def samples(self, shape: tuple[int, ...], batch: int) -> tuple[Tensor, ...]:
        """Random inputs in physical units on a grid of `shape`, as scattered as the training data."""
        normaliser, problem = self.surrogate.normaliser, self.surrogate.problem
        generator = torch.Generator().manual_seed(0)
        drawn = {
            "u": (normaliser.channels, (len(problem.channels), *shape)),
            "scalars": (normaliser.scalars, (len(problem.scalars),)),
            "fields": (normaliser.coefficients, (len(problem.coefficients), *shape)),
        }
        like = normaliser.increment_scale
        with torch.no_grad():
            return tuple(
                affine.decode(torch.randn(batch, *sizes, generator=generator).to(like), axis=1)
                for affine, sizes in (drawn[name] for name in self.inputs)
            )

    def dynamic_shapes(self) -> tuple[Any, ...]:
        batch, space = Dim.DYNAMIC, dict.fromkeys(range(2, 2 + self.surrogate.problem.grid.ndim), Dim.DYNAMIC)
        free = {"u": {0: batch, **space}, "scalars": {0: batch}, "fields": {0: batch, **space}}
        first, *others = (free[name] for name in self.inputs)
        return first, tuple(others)


def export_program(surrogate: "Surrogate") -> ExportedProgram:
    """The step as one graph with free batch and grid; `torch.export.save` writes it.

    Raises ValueError, naming the operator and the reason, for operators that are bound to their trained resolution, and
    for those that cannot be traced for free grids, or whose graph does not give on another grid what they give.
    """
    if surrogate.operator.resolution_bound:
        raise _refusal(surrogate, f"it is bound to its grid: {surrogate.operator.resolution_bound}")
    step = Step(surrogate).eval()
    try:
        with torch.no_grad():
            program = torch.export.export(step, step.example(), dynamic_shapes=step.dynamic_shapes())
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        raise _refusal(surrogate, f"it cannot be traced: {_first_line(error)}") from error
    _require_parity(surrogate, program.module())
    return program


def _require_parity(surrogate: "Surrogate", run: Callable[..., Tensor]) -> None:
    """ValueError where `run` fails or differs from the surrogate on another batch and another grid."""
    shape = tuple(n + n // 2 + (n // 2 + 1) % 2 for n in surrogate.problem.grid.shape)  # the parity is another, too
    inputs = Step(surrogate).samples(shape, batch=3)
    there = Step(surrogate.on(surrogate.problem.grid.with_shape(shape))).eval()
    with torch.no_grad():
        try:
            expected = there(*inputs)
            result = run(*inputs)
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            raise _refusal(surrogate, f"on a grid of {shape} points it fails: {_first_line(error)}") from error
    distance = float((result - expected).norm())
    # Of the increment, which a small time step would hide behind the state, up to the rounding of the state.
    allowed = AGREEMENT * (expected - inputs[0]).norm() + ROUNDINGS * torch.finfo(expected.dtype).eps * expected.norm()
    if not distance <= float(allowed):
        raise _refusal(surrogate, f"on a grid of {shape} points its graph gives another result, by {distance:.1e}")


def _refusal(surrogate: "Surrogate", reason: str) -> ValueError:
    return ValueError(f"{type(surrogate.operator).__name__} has no graph for free grids; {reason}")


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


def write_package(surrogate: "Surrogate", path: Path) -> None:
    """An AOTInductor package (.pt2): compiled for the device of the surrogate, loaded without this library's code by
    `torch._inductor.aoti_load_package` or from C++."""
    torch._inductor.aoti_compile_and_package(export_program(surrogate), package_path=str(path))
    _require_parity(surrogate, torch._inductor.aoti_load_package(str(path)))


def write_onnx(surrogate: "Surrogate", path: Path) -> None:
    """An ONNX model with named inputs u, scalars, fields, output u_next, and the card in its metadata."""
    import onnxruntime  # with the extra `export`

    step = Step(surrogate).eval()
    program = torch.onnx.export(
        export_program(surrogate), input_names=step.inputs, output_names=["u_next"], dynamo=True, verbose=False
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no model")
    program.model.metadata_props["duhamel"] = surrogate.description.to_json()
    program.save(str(path))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(*inputs: Tensor) -> Tensor:
        arrays = {name: tensor.numpy(force=True) for name, tensor in zip(step.inputs, inputs, strict=True)}
        return torch.from_numpy(session.run(["u_next"], arrays)[0]).to(inputs[0].device)

    _require_parity(surrogate, run)


WRITERS: dict[str, Callable[["Surrogate", Path], None]] = {".pt2": write_package, ".onnx": write_onnx}


def write(surrogate: "Surrogate", path: str | Path) -> None:
    """Writes the step in the format that the ending of `path` names.

    Raises ValueError for other endings and for what `export_program` refuses; then there is no file.
    """
    path = Path(path)
    if path.suffix not in WRITERS:
        raise ValueError(f"{path}: a surrogate is exported as one of {sorted(WRITERS)}, not {path.suffix!r}")
    partial = path.with_name(f".partial.{path.name}")
    try:
        WRITERS[path.suffix](surrogate, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
