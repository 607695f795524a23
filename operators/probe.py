"""Does an operator keep its promises? python -m duhamel.operators.probe NAME [argument=value ...] [--compile BACKEND]

Every probe takes an operator with weights drawn at random (what starts at zero hides what it does), and says what it
found. What an operator does not promise (`resolution_bound`, `shift_period`, `blind`, `idle_tensors`) is not asked of
it, with its reason; what it promises is.
"""

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

import duhamel.operators
from duhamel.fields import Problem, resample
from duhamel.operators.base import Operator
from duhamel.operators.normaliser import Normaliser
from duhamel.operators.probed import Make, circle, drawn, relative, sample, tensors
from duhamel.operators.surrogate import Surrogate

MATTERS = 1e-9  # least relative change of the output, in float64, that is one
BF16 = 5e-2
REFINEMENT = 0.6  # of the error, at least, when the number of points doubles


@dataclass(frozen=True)
class Finding:
    """What one probe saw."""

    probe: str
    passed: bool
    detail: str


def every_tensor_is_used(make: Make, problem: Problem) -> Finding:
    """Zeroing any parameter tensor changes the output, but for those that are said to be idle: they do not."""
    operator = drawn(make, problem)
    u, params = sample(problem, problem.grid)
    idle = []
    with torch.no_grad():
        before = operator(u, params)
        for name, parameter in tensors(operator).items():
            kept = parameter.clone()
            parameter.zero_()
            if not relative(operator(u, params), before) > MATTERS:
                idle.append(name)
            parameter.copy_(kept)
    wrong = sorted(operator.idle_tensors.symmetric_difference(idle))
    return Finding("every tensor is used", not wrong, f"idle, or wrongly said to be: {wrong}" if wrong else "")


def gradients_reach_every_tensor(make: Make, problem: Problem) -> Finding:
    operator = drawn(make, problem)
    if not any(True for _ in operator.parameters()):
        return Finding("gradients reach every tensor", True, "there are none")
    operator(*sample(problem, problem.grid)).square().sum().backward()
    gradients = {n: p.grad for n, p in operator.named_parameters() if n not in operator.idle_tensors}
    unreached = [
        name
        for name, grad in gradients.items()
        if grad is None or not bool(grad.isfinite().all()) or not bool(grad.abs().max() > 0)
    ]
    return Finding("gradients reach every tensor", not unreached, f"none in {unreached}" if unreached else "")


def inputs_matter(make: Make, problem: Problem) -> Finding:
    """State, numbers and fields change the output; numbers do not where the operator says that it is blind."""
    operator = drawn(make, problem)
    u, params = sample(problem, problem.grid)
    blind = operator.blind
    constant = not tensors(operator)
    changed = {
        "state": (u.roll(1, 0), params),
        "numbers": (u, replace(params, scalars=params.scalars + 0.5)),
        "fields": (u, replace(params, fields=params.fields.roll(1, 0))),
    }
    with torch.no_grad():
        before = operator(u, params)
        matters = {name: relative(operator(*inputs), before) > MATTERS for name, inputs in changed.items()}
    if constant:
        return Finding("inputs matter", not any(matters.values()), f"not asked: {blind}")
    wrong = [name for name, seen in matters.items() if seen == (name == "numbers" and bool(blind))]
    return Finding("inputs matter", not wrong, f"wrong about {wrong}" if wrong else blind)


def converges_under_refinement(make: Make, problem: Problem) -> Finding:
    """The same functions on ever finer grids: the distance to the finest output falls."""
    title = "converges under refinement"
    operator = drawn(make, problem)
    if operator.resolution_bound:
        return Finding(title, True, f"not asked: {operator.resolution_bound}")
    grids = [problem.grid.with_shape(tuple(f * n for n in problem.grid.shape)) for f in (1, 2, 4, 8)]
    with torch.no_grad():
        outputs = [resample(operator.on(grid)(*sample(problem, grid)), grid, problem.grid) for grid in grids]
    errors = [relative(output, outputs[-1]) for output in outputs[:-1]]
    falls = all(b <= max(REFINEMENT * a, MATTERS) for a, b in zip(errors[:-1], errors[1:], strict=True))
    return Finding(title, falls, "errors at n, 2n, 4n against 8n: " + ", ".join(f"{e:.1e}" for e in errors))


def commutes_with_shifts(make: Make, problem: Problem) -> Finding:
    title = "commutes with shifts"
    operator = drawn(make, problem)
    if not operator.shift_period:
        return Finding(title, True, "not claimed")
    u, params = sample(problem, problem.grid)
    worst = 0.0
    with torch.no_grad():
        before = operator(u, params)
        for axis in range(2, u.ndim):
            by = partial(torch.roll, shifts=operator.shift_period, dims=axis)
            shifted = operator(by(u), replace(params, fields=by(params.fields)))
            worst = max(worst, float((shifted - by(before)).norm()) / max(float(before.norm()), 1.0))
    return Finding(title, worst < 1e-10, f"by {operator.shift_period} points, up to {worst:.1e}")


def runs_in_bfloat16(make: Make, problem: Problem) -> Finding:
    torch.manual_seed(0)
    operator = make(problem).eval()
    u, params = sample(problem, problem.grid)
    u, params = u.float(), params.to(torch.float32)
    with torch.no_grad():
        exact = operator(u, params)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            error = relative(operator(u, params).float(), exact)
    return Finding("runs in bfloat16", error < BF16, f"relative difference {error:.1e} of {BF16:g} allowed")


def saves_and_loads(make: Make, problem: Problem) -> Finding:
    """Bit-equal outputs from the file, and nothing but tensors in the state dict."""
    torch.manual_seed(0)
    names = (q.name for q in (*problem.channels, *problem.scalars, *problem.coefficients))
    surrogate = Surrogate(make(problem), Normaliser(problem), trained_range=dict.fromkeys(names, (-9.0, 9.0))).eval()
    others = [name for name, value in surrogate.state_dict().items() if not isinstance(value, Tensor)]
    if others:
        return Finding("saves and loads", False, f"{others} in the state dict are no tensors")
    u, params = sample(problem, problem.grid)
    u, params = u.float(), params.to(torch.float32)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = Path(folder) / "surrogate.safetensors"
        surrogate.save(path)
        same = torch.equal(Surrogate.load(path)(u, params), surrogate(u, params))
    return Finding("saves and loads", same, "" if same else "outputs differ")


def compiles(make: Make, problem: Problem, *, backend: str) -> Finding:
    """torch.compile gives what eager mode gives."""
    operator = drawn(make, problem)
    inputs = sample(problem, problem.grid)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler's about what it looks into
        error = relative(torch.compile(operator, backend=backend)(*inputs), operator(*inputs))
    return Finding("compiles", error < 1e-10, f"{backend}: relative difference {error:.1e}")


def examine(make: Make, problem: Problem, *, backend: str | None = "aot_eager") -> Iterator[Finding]:
    """All probes, that of torch.compile where a backend is named; one that raises is a finding too."""
    probes: tuple[Callable[[Make, Problem], Finding], ...] = (
        every_tensor_is_used,
        gradients_reach_every_tensor,
        inputs_matter,
        converges_under_refinement,
        commutes_with_shifts,
        runs_in_bfloat16,
        saves_and_loads,
        *([partial(compiles, backend=backend)] if backend else []),
    )
    for probe in probes:
        try:
            yield probe(make, problem)
        except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
            name = probe.func.__name__ if isinstance(probe, partial) else probe.__name__
            yield Finding(name.replace("_", " "), False, f"{type(error).__name__}: {error}")


def registered() -> dict[str, type[Operator]]:
    """Every operator that `duhamel.operators` exports."""
    exported = ((name, getattr(duhamel.operators, name)) for name in duhamel.operators.__all__)
    return {n: c for n, c in exported if isinstance(c, type) and issubclass(c, Operator) and c is not Operator}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m duhamel.operators.probe", description=__doc__)
    parser.add_argument("name", choices=sorted(registered()))
    parser.add_argument("arguments", nargs="*", metavar="argument=value", help="of the operator, values in YAML")
    parser.add_argument("--points", type=int, default=64, help="an axis")
    parser.add_argument("--dim", type=int, default=1, help="dimensions of the torus it is probed on")
    parser.add_argument("--compile", default="aot_eager", help="backend of torch.compile; inductor is the real one")
    options = parser.parse_args(arguments)
    given: dict[str, Any] = {}
    for argument in options.arguments:
        key, found, value = argument.partition("=")
        if not found:
            parser.error(f"{argument!r} is not argument=value")
        loaded = yaml.safe_load(value)
        given[key] = tuple(loaded) if isinstance(loaded, list) else loaded
    findings = list(
        examine(
            partial(registered()[options.name], **given),
            circle(options.points, dim=options.dim),
            backend=options.compile,
        )
    )
    for finding in findings:
        print(f"{options.name}: {'ok    ' if finding.passed else 'FAILED'} {finding.probe}  {finding.detail}".rstrip())
    return 0 if all(finding.passed for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
