"""A surrogate's step outside this library: as a graph of torch.export, an AOTInductor package, or ONNX.

The step takes and returns physical units: u of shape (batch, channel, *space), then `scalars` (batch, param) and
`fields` (batch, coefficient, *space) where the problem has them. Batch and grid are free; the operations are products,
so no runtime needs an FFT or complex numbers.
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

    def dynamic_shapes(self) -> tuple[Any, ...]:
        batch, space = Dim.DYNAMIC, dict.fromkeys(range(2, 2 + self.surrogate.problem.grid.ndim), Dim.DYNAMIC)
        free = {"u": {0: batch, **space}, "scalars": {0: batch}, "fields": {0: batch, **space}}
        first, *others = (free[name] for name in self.inputs)
        return first, tuple(others)


def export_program(surrogate: "Surrogate") -> ExportedProgram:
    """The step as one graph with free batch and grid; `torch.export.save` writes it.

    Raises ValueError for operators that work at their trained resolution only.
    """
    if surrogate.operator.resolution_bound:
        raise ValueError(f"{type(surrogate.operator).__name__} works on its trained grid only: no graph for free grids")
    step = Step(surrogate).eval()
    with torch.no_grad():
        return torch.export.export(step, step.example(), dynamic_shapes=step.dynamic_shapes())


def write_package(surrogate: "Surrogate", path: Path) -> None:
    """An AOTInductor package (.pt2): compiled for the device of the surrogate, loaded without this library's code by
    `torch._inductor.aoti_load_package` or from C++."""
    torch._inductor.aoti_compile_and_package(export_program(surrogate), package_path=str(path))


def write_onnx(surrogate: "Surrogate", path: Path) -> None:
    """An ONNX model with named inputs u, scalars, fields, output u_next, and the card in its metadata."""
    step = Step(surrogate).eval()
    program = torch.onnx.export(
        export_program(surrogate), input_names=step.inputs, output_names=["u_next"], dynamo=True, verbose=False
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no model")
    program.model.metadata_props["duhamel"] = surrogate.description.to_json()
    program.save(str(path))


WRITERS: dict[str, Callable[["Surrogate", Path], None]] = {".pt2": write_package, ".onnx": write_onnx}


def write(surrogate: "Surrogate", path: str | Path) -> None:
    """Writes the step in the format that the ending of `path` names. Raises ValueError for other endings."""
    path = Path(path)
    if path.suffix not in WRITERS:
        raise ValueError(f"{path}: a surrogate is exported as one of {sorted(WRITERS)}, not {path.suffix!r}")
    partial = path.with_name(f".partial.{path.name}")
    WRITERS[path.suffix](surrogate, partial)
    partial.replace(path)
