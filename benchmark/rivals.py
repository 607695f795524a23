"""Solvers of other libraries, none of them required: a library that is not installed is reported as such.

Each function returns a `Run`, states in, states out, over the whole time T in a given number of steps, or raises
ImportError. Compilation happens in the first call.
"""

import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Run = Callable[[], Tensor]
# (u0, n_steps) -> Run
Rival = Callable[[Tensor, int], Run]


def version(distribution: str) -> str:
    """Its version, or that it is missing."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def exponax(build: Callable[[Any, float], Any], T: float) -> Rival:
    """exponax on JAX in float64: `build(exponax.stepper, dt)` makes the stepper; batches by vmap, all compiled."""

    def rival(u0: Tensor, n_steps: int) -> Run:
        exponax: Any = importlib.import_module("exponax")
        jax: Any = importlib.import_module("jax")
        jax.config.update("jax_enable_x64", True)
        solve = jax.jit(jax.vmap(exponax.repeat(build(exponax.stepper, T / n_steps), n_steps)))
        start = jax.numpy.asarray(u0.numpy())

        def run() -> Tensor:
            return torch.from_numpy(np.array(solve(start).block_until_ready()))

        return run

    return rival


def py_pde(
    build: Callable[[Any], Any], T: float, length: float, periodic: bool, *, complex_field: bool = False
) -> Rival:
    """py-pde, second order in space, its own adaptive explicit Runge-Kutta; samples one after another.

    build: pde -> equation, for fields on cells. Steps set the tolerance: 10 / n_steps^4.
    complex_field: the two channels of a state are the parts of one field.
    """

    def rival(u0: Tensor, n_steps: int) -> Run:
        pde: Any = importlib.import_module("pde")
        n = u0.shape[2:]
        grid = pde.CartesianGrid([(0, length)] * len(n), list(n), periodic=periodic)
        solver = pde.RungeKuttaSolver(build(pde), adaptive=True, tolerance=10 / n_steps**4)

        def field(sample: Tensor) -> Any:
            if complex_field:
                return pde.ScalarField(grid, torch.complex(*sample).numpy(), dtype=complex)
            fields = [pde.ScalarField(grid, channel.numpy()) for channel in sample]
            return pde.FieldCollection(fields) if len(fields) > 1 else fields[0]

        # Made once: it compiles in its first call.
        stepper = solver.make_stepper(field(u0[0]))

        def one(sample: Tensor) -> Tensor:
            state = field(sample)
            stepper(state, 0.0, T)
            parts = np.stack([state.data.real, state.data.imag]) if complex_field else np.array(state.data)
            return torch.from_numpy(parts).reshape(sample.shape)

        return lambda: torch.stack([one(sample) for sample in u0])

    return rival


def torchdiffeq(tendency: Callable[[Tensor], Tensor], T: float) -> Rival:
    """torchdiffeq's adaptive dopri8 on the whole batch; steps set the tolerance: 1 / n_steps^4."""

    def rival(u0: Tensor, n_steps: int) -> Run:
        from torchdiffeq import odeint

        tolerance = 1 / n_steps**4
        times = torch.tensor([0.0, T], dtype=torch.float64)

        def run() -> Tensor:
            with torch.no_grad():
                end: Tensor = odeint(
                    lambda _, u: tendency(u), u0, times, rtol=tolerance, atol=tolerance, method="dopri8"
                )
            return end[-1]

        return run

    return rival


def scikit_fem(n: tuple[int, ...], tolerance: float) -> Callable[[Tensor], Tensor]:
    """-div(a grad u) = 1 on the unit square, u = 0 around it: a, constant in each of n cells, to u in their middles.

    scikit-fem's bilinear elements on the same cells, pyamg's algebraic multigrid (Ruge and Stueben) as preconditioner
    of conjugate gradients; samples (batch, *n) one after another. Mesh, basis and load are made once.
    """
    skfem: Any = importlib.import_module("skfem")
    pyamg: Any = importlib.import_module("pyamg")
    helpers: Any = importlib.import_module("skfem.helpers")
    mesh = skfem.MeshQuad.init_tensor(*(np.linspace(0.0, 1.0, points + 1) for points in n))
    basis = skfem.Basis(mesh, skfem.ElementQuad1())
    cells = basis.with_element(skfem.ElementQuad0())
    stiffness = skfem.BilinearForm(lambda u, v, w: w.a * helpers.dot(helpers.grad(u), helpers.grad(v)))
    load = skfem.LinearForm(lambda v, w: v).assemble(basis)
    inside = mesh.interior_nodes()
    i, j = (mesh.p[:, mesh.t].mean(axis=1) * np.array(n)[:, None]).astype(int)

    def one(a: np.ndarray) -> Tensor:
        coefficient = np.empty(cells.N)
        coefficient[cells.element_dofs[0]] = a[i, j]
        matrix = stiffness.assemble(basis, a=cells.interpolate(coefficient))[inside][:, inside]
        u = np.zeros(basis.N)
        u[inside] = pyamg.ruge_stuben_solver(matrix).solve(load[inside], tol=tolerance, accel="cg")
        middles = np.empty(n)
        middles[i, j] = u[mesh.t].mean(axis=0)
        return torch.from_numpy(middles)

    return lambda a: torch.stack([one(sample) for sample in a.double().cpu().numpy()])
