"""Reference solvers: propagators that know their order."""

import sys
from functools import singledispatch
from typing import ClassVar, Final, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.pdes import PDE
from duhamel.solvers.transfer import Transfer

EXACT: Final = sys.maxsize


class UnresolvedError(ValueError):
    """The grid or the step does not hold the solution.

    tail: the relative size of what lies past the resolved part of the spectrum; near 1, inf or nan after a blow-up.
    """

    def __init__(self, message: str, tail: float) -> None:
        super().__init__(message)
        self.tail = tail


@runtime_checkable
class Solver(Protocol):
    """A propagator over one dt, batched over samples with parameters of their own, differentiable.

    order: of the error as the step shrinks: the time step of an evolution, the mesh width of a stationary problem.
        `EXACT` where the only error is rounding.
    transfer: what its states stand for (point values, means over cells) when they pass to other grids.
    """

    order: ClassVar[int]

    @property
    def transfer(self) -> Transfer: ...

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]: ...


@singledispatch
def reference_solver(pde: PDE, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    """The reference propagator of an equation over dt, in `substeps` equal steps. Dispatches on the equation."""
    raise NotImplementedError(f"no reference solver for {type(pde).__name__}; register one with reference_solver")


def require_step(dt: float, substeps: int) -> None:
    """ValueError unless dt > 0 is divided into at least one substep."""
    if not dt > 0 or substeps < 1:
        raise ValueError(f"an evolution needs dt > 0 and substeps >= 1, got dt = {dt} and substeps = {substeps}")
