"""Equations on which our solvers and those of others are timed: `python -m duhamel.benchmark.solvers`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from duhamel.benchmark import rivals
from duhamel.benchmark.order_cases import FEW_MODES, scalars
from duhamel.benchmark.rivals import Rival, Run
from duhamel.pdes import (
    Advection,
    AllenCahn,
    Burgers,
    EvolutionPDE,
    FisherKPP,
    FitzHughNagumo,
    Heat,
    KdV,
    KuramotoSivashinsky,
    Lorenz96,
    NavierStokes,
    NonlinearSchroedinger,
    Wave,
)
from duhamel.solvers import EXACT, reference_solver, reference_trajectory


@dataclass(frozen=True)
class SolverCase:
    """One problem: random initial states of the equation, the same parameters for all, to the time T.

    sizes: numbers of steps over T that are timed. finest: of the solution that errors are measured against.
    rivals: by name, with the library's distribution; their sizes where they differ from ours.
    """

    pde: EvolutionPDE
    shape: tuple[int, ...]
    T: float
    values: tuple[float, ...]
    sizes: Sequence[int]
    finest: int
    rivals: Mapping[str, Rival]
    rival_sizes: Sequence[int] = field(default=())

    def initial(self, batch: int) -> Tensor:
        return self.pde.sample_initial(self.pde.grid(self.shape), batch, torch.Generator().manual_seed(0))

    def ours(self, u0: Tensor, n_steps: int) -> Run:
        """With the check of the spectrum, as in every other use."""
        grid = self.pde.grid(self.shape)
        params = scalars(grid, *self.values, batch=len(u0))
        solver = reference_solver(self.pde, grid, self.T, substeps=n_steps)
        return lambda: solver(u0, params)

    def truth(self, u0: Tensor) -> Tensor:
        """Ours in the finest steps, on twice the points."""
        grid = self.pde.grid(self.shape)
        exact = reference_solver(self.pde, grid, self.T).order == EXACT
        refine = 2 if self.pde.continuous and not exact else 1
        return reference_trajectory(
            self.pde, u0, scalars(grid, *self.values, batch=len(u0)), grid, self.T, 1, refine=refine,
            substeps=1 if exact else self.finest,
        )[:, -1]  # fmt: skip


def _exponax(name: str, case_T: float, dims: int, length: float, n: int, **options: int | float) -> Rival:
    def build(stepper: object, dt: float) -> object:
        module, _, kind = name.rpartition(".")
        return getattr(getattr(stepper, module) if module else stepper, kind)(dims, length, n, dt, **options)

    return rivals.exponax(build, case_T)


ORDER_4 = {"order": 4, "dealiasing_fraction": 2 / 3}
LORENZ = Lorenz96()


def _fitzhugh_nagumo(pde: object) -> object:
    neumann = {"derivative": 0}
    return pde.PDE(  # type: ignore[attr-defined]
        {"u": "3e-2 * laplace(u) + u - u**3 - 5e-3 - v", "v": "3e-2 * laplace(v) + u - v"}, bc=neumann
    )


def _fisher(pde: object) -> object:
    return pde.PDE({"u": "5e-3 * laplace(u) + u * (1 - u)"}, bc={"derivative": 0})  # type: ignore[attr-defined]


def _schroedinger(pde: object) -> object:
    return pde.PDE({"psi": "0.5j * laplace(psi) + 1j * abs(psi)**2 * psi"})  # type: ignore[attr-defined]


def _lorenz(u: Tensor) -> Tensor:
    return LORENZ.tendency(u, scalars(LORENZ.grid((40,)), 8.0, batch=len(u)), LORENZ.grid((40,)))


CASES: tuple[SolverCase, ...] = (
    SolverCase(
        Advection(), (256,), 1.0, (0.7,), (1,), 1,
        {"exponax": _exponax("Advection", 1.0, 1, 1.0, 256, velocity=0.7)},
    ),
    SolverCase(
        Heat(), (64, 64), 0.5, (5e-3,), (1,), 1,
        {"exponax": _exponax("Diffusion", 0.5, 2, 1.0, 64, diffusivity=5e-3)},
    ),
    SolverCase(
        Wave(), (256,), 1.0, (0.7,), (1,), 1,
        {"exponax": _exponax("Wave", 1.0, 1, 1.0, 256, speed_of_sound=0.7)},
    ),
    SolverCase(
        Burgers(), (256,), 0.2, (0.02,), (10, 20, 40, 80), 320,
        {"exponax": _exponax("Burgers", 0.2, 1, 1.0, 256, diffusivity=0.02, conservative=True, **ORDER_4)},
    ),
    SolverCase(
        KdV(), (256,), 0.2, (1.0,), (5, 10, 20, 40), 640,
        # By default its u is minus ours, and it adds hyperdiffusion.
        {
            "exponax": _exponax(
                "KortewegDeVries", 0.2, 1, 32.0, 256, convection_scale=6.0, conservative=True, hyper_diffusivity=0.0,
                **ORDER_4,
            )
        },
        (40, 80, 160),
    ),
    SolverCase(
        KuramotoSivashinsky(), (192,), 5.0, (1.0,), (20, 40, 80, 160), 640,
        {"exponax": _exponax("KuramotoSivashinskyConservative", 5.0, 1, 16 * math.pi, 192, **ORDER_4)},
    ),
    SolverCase(
        AllenCahn(), (256,), 1.0, (1e-3,), (5, 10, 20, 40), 320,
        {"exponax": _exponax("reaction.AllenCahn", 1.0, 1, 1.0, 256, diffusivity=1e-3, **ORDER_4)},
    ),
    SolverCase(
        FisherKPP(), (256,), 1.0, (5e-3, 1.0), (5, 10, 20, 40), 320,
        {"exponax": _exponax("reaction.FisherKPP", 1.0, 1, 1.0, 256, diffusivity=5e-3, reactivity=1.0, **ORDER_4)},
    ),
    SolverCase(
        FisherKPP(boundary="neumann"), (256,), 1.0, (5e-3, 1.0), (2, 5, 10, 20), 320,
        {"py-pde": rivals.py_pde(_fisher, 1.0, 1.0, False)}, (10, 20),
    ),
    SolverCase(
        FitzHughNagumo(initial=FEW_MODES), (32, 32), 1.0, (3e-2, 3e-2, 5e-3), (2, 5, 10, 20), 80,
        {"py-pde": rivals.py_pde(_fitzhugh_nagumo, 1.0, 2.0, False)}, (10, 20),
    ),
    SolverCase(
        NavierStokes(forcing=0.0), (64, 64), 2.0, (5e-3,), (5, 10, 20), 160,
        # Its vorticity is u_y - v_x, ours v_x - u_y: the sign of the transport makes them one equation.
        {
            "exponax": _exponax(
                "NavierStokesVorticity", 2.0, 2, 1.0, 64, diffusivity=5e-3, vorticity_convection_scale=-1.0, **ORDER_4
            )
        },
    ),
    SolverCase(
        NonlinearSchroedinger(), (256,), 1.0, (1.0,), (2, 3, 5, 10, 20), 320,
        {"py-pde": rivals.py_pde(_schroedinger, 1.0, 32.0, True, complex_field=True)}, (10, 20),
    ),
    SolverCase(
        LORENZ, (40,), 1.0, (8.0,), (20, 40, 80, 160), 1280, {"torchdiffeq": rivals.torchdiffeq(_lorenz, 1.0)},
        (10, 20, 40, 80),
    ),
)  # fmt: skip
