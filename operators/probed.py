"""What the probes look at: problems on a torus, smooth inputs, operators with weights drawn at random."""

from collections.abc import Callable

import torch
from torch import Tensor

from duhamel.fields import Boundary, Centring, GaussianField, Grid, Parameters, Problem, Quantity, State
from duhamel.operators.base import Operator

Make = Callable[[Problem], Operator]
SMOOTH = GaussianField(sigma=30.0, tau=4.0, alpha=2.0, n_modes=3)


def circle(n: int = 64, *, dim: int = 1) -> Problem:
    """Two channels that evolve on a torus under one number and one coefficient field."""
    grid = Grid(shape=(n,) * dim, extent=(1.0,) * dim, boundary=(Boundary.PERIODIC,) * dim, centring=Centring.NODE)
    return Problem(
        equation="",
        channels=(Quantity("u"), Quantity("v")),
        scalars=(Quantity("mu"),),
        coefficients=(Quantity("a"),),
        grid=grid,
        dt=0.1,
    )


def sample(problem: Problem, grid: Grid, *, seed: int = 0) -> tuple[State, Parameters]:
    """Two smooth states with their parameters: the same functions on every grid."""
    generator = torch.Generator().manual_seed(seed)
    n, m = len(problem.channels), len(problem.coefficients)
    fields = SMOOTH.sample(grid, 2 * (n + m), generator).unflatten(0, (2, n + m))
    scalars = torch.randn(2, len(problem.scalars), generator=generator, dtype=torch.float64)
    return fields[:, :n], Parameters(scalars, fields[:, n:])


def drawn(make: Make, problem: Problem) -> Operator:
    """The operator in float64, every parameter moved off its initial value."""
    torch.manual_seed(0)
    operator = make(problem).double().eval()
    for weight in operator.parameters():
        if weight.is_complex():  # which `double` passes by
            weight.data = weight.data.to(torch.complex128)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in tensors(operator).values():
            scale = parameter.abs().square().mean().sqrt().clamp_min(0.1)
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(0.3 * scale * noise)
    return operator


def tensors(operator: Operator) -> dict[str, Tensor]:
    """What training sets: parameters, or buffers where an operator is solved for."""
    return dict(operator.named_parameters()) or dict(operator.named_buffers())


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm().clamp_min(torch.finfo(b.dtype).tiny))
