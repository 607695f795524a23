"""Cases whose error falls at a known order: what `python -m duhamel.benchmark.orders` prints and the tests assert."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from duhamel.benchmark import exact_solutions as exact
from duhamel.fields import Boundary, Centring, GaussianField, Grid, LogisticField, Parameters
from duhamel.pdes import (
    AllenCahn,
    Burgers,
    EvolutionPDE,
    FisherKPP,
    FitzHughNagumo,
    KdV,
    KuramotoSivashinsky,
    Lorenz96,
    Lorenz96TwoLevel,
    NavierStokes,
    NonlinearSchroedinger,
)
from duhamel.solvers import reference_solver

LONG_WAVES = GaussianField(sigma=2.0, tau=1.0, alpha=2.0, n_modes=3, zero_mean=True)
FEW_MODES = GaussianField(sigma=5.0, tau=5.0, alpha=2.0, n_modes=2, zero_mean=True)


@dataclass(frozen=True)
class OrderCase:
    """One solver on one problem.

    sizes: numbers of steps, or of points an axis, in growing order; `unit` says which.
    error: the error at one size, against what `against` says.
    order: of the error, as the solver states it.
    """

    equation: str
    solver: str
    against: str
    unit: str
    order: int | float
    sizes: Sequence[int]
    error: Callable[[int], float]

    def errors(self) -> list[float]:
        return [self.error(size) for size in self.sizes]

    def observed(self, errors: Sequence[float]) -> list[float]:
        """Orders between successive sizes."""
        steps = zip(pairwise(errors), pairwise(self.sizes), strict=True)
        return [math.log(e1 / e2) / math.log(n2 / n1) for (e1, e2), (n1, n2) in steps]


CASES: list[OrderCase] = []


def register(case: OrderCase) -> OrderCase:
    CASES.append(case)
    return case


def scalars(grid: Grid, *values: float, batch: int = 1) -> Parameters:
    """The same numbers for every sample, in float64."""
    fields = torch.zeros(batch, 0, *grid.shape, dtype=torch.float64)
    return Parameters(torch.tensor(values, dtype=torch.float64).expand(batch, -1), fields)


def in_time(
    pde: EvolutionPDE,
    grid: Grid,
    T: float,
    values: Sequence[float],
    sizes: Sequence[int],
    *,
    initial: Callable[[], Tensor] | None = None,
    truth: Callable[[], Tensor] | None = None,
    against: str = "four times as many steps",
) -> OrderCase:
    """Relative L2 error at T after one call of the reference solver with `sizes` steps; by default of two samples."""

    def start() -> Tensor:
        if initial is not None:
            return initial()
        return pde.sample_initial(grid, 2, torch.Generator().manual_seed(0))

    def end(n_steps: int) -> Tensor:
        u0 = start()
        return reference_solver(pde, grid, T, substeps=n_steps)(u0, scalars(grid, *values, batch=len(u0)))

    best: list[Tensor] = []

    def error(n_steps: int) -> float:
        if not best:
            best.append(truth() if truth is not None else end(4 * sizes[-1]))
        return float((end(n_steps) - best[0]).norm() / best[0].norm())

    solver = reference_solver(pde, grid, T)
    return OrderCase(
        equation=pde.name, solver=type(solver).__name__, against=against, unit="steps", order=solver.order,
        sizes=sizes, error=error,
    )  # fmt: skip


def _circle(length: float, n: int) -> Grid:
    return Grid(shape=(n,), extent=(length,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)


def _burgers() -> OrderCase:
    grid = _circle(2 * math.pi, 256)
    x = grid.coordinates()[0]
    return in_time(
        Burgers(), grid, 1.5, (0.1,), (100, 200, 400), against="Cole and Hopf",
        initial=lambda: (torch.sin(x) + 0.2 * torch.cos(2 * x))[None, None],
        truth=lambda: exact.cole_hopf(x, 1.5, 0.1)[None, None],
    )  # fmt: skip


def _kdv() -> OrderCase:
    grid = _circle(40.0, 256)
    x = grid.coordinates()[0]

    def wave(t: float) -> Tensor:
        return exact.kdv_soliton(x, t, speed=2.0, centre=19.0)[None, None]

    return in_time(
        KdV(), grid, 1.0, (1.0,), (200, 400, 800), against="soliton", initial=lambda: wave(0.0), truth=lambda: wave(1.0)
    )


def _schroedinger() -> OrderCase:
    grid = _circle(32.0, 256)
    x = grid.coordinates()[0]

    def wave(t: float) -> Tensor:
        return exact.schroedinger_soliton(x, t, amplitude=1.2, speed=0.5 * math.pi, focusing=1.0, centre=16.0)[None]

    return in_time(
        NonlinearSchroedinger(), grid, 1.0, (1.0,), (10, 20, 40), against="soliton", initial=lambda: wave(0.0),
        truth=lambda: wave(1.0),
    )  # fmt: skip


def _box(pde: EvolutionPDE, *shape: int) -> tuple[EvolutionPDE, Grid]:
    return pde, pde.grid(shape)


register(_burgers())
register(_kdv())
register(_schroedinger())
register(in_time(*_box(KuramotoSivashinsky(initial=LONG_WAVES), 192), 2.0, (1.0,), (50, 100, 200)))
register(in_time(*_box(AllenCahn(initial=FEW_MODES), 96), 2.0, (2e-3,), (10, 20, 40)))
register(
    in_time(
        *_box(FisherKPP(boundary="neumann", initial=LogisticField(field=FEW_MODES)), 48), 2.0, (1e-2, 1.0), (10, 20, 40)
    )
)
register(in_time(*_box(FitzHughNagumo(initial=FEW_MODES), 32, 32), 1.0, (1e-2, 1e-2, 5e-3), (5, 10, 20)))
register(in_time(*_box(NavierStokes(initial=FEW_MODES), 32, 32), 1.0, (1e-2,), (5, 10, 20)))
register(in_time(*_box(Lorenz96(spin_up=1.0), 40), 1.0, (8.0,), (40, 80, 160)))
register(in_time(*_box(Lorenz96TwoLevel(spin_up=0.5), 12), 0.1, (10.0, 1.0, 10.0, 10.0), (20, 40, 80)))
