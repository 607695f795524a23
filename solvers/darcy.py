"""Darcy flow by finite volumes and a sparse direct solve, with the adjoint as its gradient."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from duhamel.fields import Grid, Parameters
from duhamel.pdes import Darcy
from duhamel.pdes.diffusion import diffusion, require_dirichlet_cells, transmissibilities
from duhamel.solvers.base import Solver, reference_solver
from duhamel.solvers.transfer import CellMeans, Transfer


def solve_darcy(
    a: Float[Tensor, "batch *space"], f: Float[Tensor, "batch *space"], grid: Grid
) -> Float[Tensor, "batch *space"]:
    """u of -div(a grad u) = f, u = 0 on the boundary, in any dimension; differentiable once in a and f.

    Solved in float64 on the CPU, one sparse factorisation a sample; answers in the dtype and on the device of a.
    """
    require_dirichlet_cells(grid)
    if not bool((a > 0).all()):
        raise ValueError(f"permeability must be positive, its smallest value is {float(a.min())}")
    solution: Tensor = _Solve.apply(a, f, grid)  # type: ignore[no-untyped-call]
    return solution


class _Solve(torch.autograd.Function):
    """u = A(a)^-1 f. With l = A^-1 g (A is symmetric): df = l, da = -d/da (l . A(a) u)."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, f: Tensor, grid: Grid) -> Tensor:
        right = f.double().cpu()
        factors, rows = [], []
        for sample, b in zip(a.double().cpu(), right, strict=True):
            lu = _factorise(sample, grid)
            rows.append(_back_substitute(lu, b))
            # Factors outweigh the solution a hundred times: kept only for an adjoint to come.
            if any(ctx.needs_input_grad):
                factors.append(lu)
        u = torch.stack(rows)
        ctx.save_for_backward(a, u)
        ctx.factors, ctx.grid, ctx.f_dtype = factors, grid, f.dtype
        return u.to(a)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor, None]:
        a, u = ctx.saved_tensors
        adjoint = torch.stack([_back_substitute(lu, b) for lu, b in zip(ctx.factors, g.double().cpu(), strict=True)])
        da = None
        if ctx.needs_input_grad[0]:
            with torch.enable_grad():
                a64 = a.detach().double().cpu().requires_grad_()
                (da,) = torch.autograd.grad((adjoint * diffusion(u, a64, ctx.grid)).sum(), a64)
            da = -da.to(a)
        return da, adjoint.to(device=a.device, dtype=ctx.f_dtype), None


def _back_substitute(lu: Any, b: Float[Tensor, "*space"]) -> Float[Tensor, "*space"]:
    return torch.from_numpy(lu.solve(b.reshape(-1).numpy())).reshape(b.shape)


def _factorise(a: Float[Tensor, "*space"], grid: Grid) -> Any:
    """Sparse LU of the matrix of `diffusion`; minimum degree on A + A^T suits its symmetric pattern."""
    cells = np.arange(a.numel()).reshape(grid.shape)
    rows, columns, values = [], [], []
    diagonal = np.zeros(grid.shape)
    for axis, n in enumerate(grid.shape):
        t = transmissibilities(a.unsqueeze(0), grid, axis)[0].numpy()
        diagonal += t.take(range(n), axis) + t.take(range(1, n + 1), axis)
        left, right = cells.take(range(n - 1), axis).ravel(), cells.take(range(1, n), axis).ravel()
        inside = -t.take(range(1, n), axis).ravel()
        rows += [left, right]
        columns += [right, left]
        values += [inside, inside]
    entries = np.concatenate([*values, diagonal.ravel()])
    where = np.concatenate([*rows, cells.ravel()]), np.concatenate([*columns, cells.ravel()])
    matrix = scipy.sparse.csc_matrix((entries, where), shape=(cells.size, cells.size))
    return scipy.sparse.linalg.splu(
        matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )


class DarcyFiniteVolume:
    """(guess, permeability) -> solution; the guess is not used.

    solve: (a, f, grid) -> u. The direct solve runs on the CPU in float64; on a device, or past some 100 x 100 cells,
        `lambda a, f, grid: solve_diffusion(a, f, grid).u` is faster.
    """

    order: ClassVar[int] = 2
    transfer: ClassVar[Transfer] = CellMeans()

    def __init__(
        self, grid: Grid, *, source: float = 1.0, solve: Callable[[Tensor, Tensor, Grid], Tensor] = solve_darcy
    ) -> None:
        require_dirichlet_cells(grid)
        self.grid = grid
        self.source = source
        self.solve = solve

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        a = params.fields[:, 0]
        return self.solve(a, torch.full_like(a, self.source), self.grid).unsqueeze(1).to(u)


@reference_solver.register
def _(pde: Darcy, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    if dt != 0 or substeps != 1:
        raise ValueError(f"darcy is stationary: dt must be 0 and substeps 1, got dt = {dt} and substeps = {substeps}")
    return DarcyFiniteVolume(grid, source=pde.source)
