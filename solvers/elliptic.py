"""-div(a grad u) = f for many a and f at once, iteratively and to a tolerance, with the adjoint as its gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from duhamel.fields import Grid
from duhamel.pdes.diffusion import diffusion
from duhamel.solvers.conjugate_gradients import Iterate, LinearMap, conjugate_gradients
from duhamel.solvers.multigrid import Multigrid
from duhamel.solvers.stiffness import Stiffness

Preconditioner = Callable[[Tensor, Grid], LinearMap]


@dataclass(frozen=True)
class EllipticSolution:
    """u carries the gradient; iterations and the relative residual ||f - A u|| / ||f|| are by sample."""

    u: Float[Tensor, "batch *space"]
    iterations: Int[Tensor, " batch"]
    residual: Float[Tensor, " batch"]


def solve_diffusion(
    a: Float[Tensor, "batch *space"],
    f: Float[Tensor, "batch *space"],
    grid: Grid,
    *,
    preconditioner: Preconditioner = Multigrid,
    tolerance: float = 1e-10,
    max_iterations: int = 200,
    guess: Float[Tensor, "batch *space"] | None = None,
) -> EllipticSolution:
    """-div(a grad u) = f by `duhamel.pdes.diffusion` and preconditioned conjugate gradients, matrix-free.

    On the device and in the dtype of a. Differentiable once in a and f: one more solve, by the implicit function
    theorem, to the same tolerance. The guess shortens the solve and takes no gradient.

    preconditioner: `Multigrid` (jumps, rough coefficients) or `ScaledLaplacian` (smooth ones, any shape).
    tolerance: of ||f - A u|| / ||f||.

    Where no axis is dirichlet, f must have mean zero and u has mean zero. Raises ValueError for a that is not positive,
    a tolerance that the dtype cannot hold, and samples that `max_iterations` leave above the tolerance.
    """
    if a.shape != f.shape or tuple(a.shape[1:]) != grid.shape:
        raise ValueError(f"a and f must lie on the grid of shape {grid.shape}, got {tuple(a.shape)}, {tuple(f.shape)}")
    if not bool((a > 0).all()):
        raise ValueError(f"the coefficient must be positive, its smallest value is {float(a.min())}")
    if not tolerance >= torch.finfo(a.dtype).eps:
        raise ValueError(
            f"tolerance {tolerance:.1e} is below the rounding of {a.dtype}, {torch.finfo(a.dtype).eps:.1e}"
        )
    system = _System(a.detach(), grid, preconditioner, tolerance, max_iterations)
    u, iterations, residual = _Solve.apply(a, f.to(a), system, guess)  # type: ignore[no-untyped-call]
    return EllipticSolution(u, iterations, residual)


class _System:
    """A(a) with its preconditioner, kept from the solve for its adjoint."""

    def __init__(self, a: Tensor, grid: Grid, preconditioner: Preconditioner, tolerance: float, n: int) -> None:
        self.grid = grid
        self.operator = Stiffness.of(a, grid)
        self.preconditioner = preconditioner(a, grid)
        self.tolerance = tolerance
        self.max_iterations = n

    def solve(self, f: Tensor, guess: Tensor | None = None) -> Iterate:
        done = conjugate_gradients(
            self.operator,
            self._free(f),
            precondition=lambda r: self._free(self.preconditioner(r)),
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            guess=None if guess is None else self._free(guess.to(f)),
        )
        if not bool(done.converged.all()):
            sample = int((~done.converged).nonzero()[0, 0])
            raise ValueError(
                f"sample {sample}: relative residual {float(done.residual[sample]):.1e} after {self.max_iterations} "
                f"iterations, {self.tolerance:.1e} asked for on a grid of shape {self.grid.shape}"
            )
        return done

    def _free(self, u: Tensor) -> Tensor:
        """Without its mean where constants are in the kernel."""
        return u - u.mean(dim=tuple(range(1, u.ndim)), keepdim=True) if self.operator.singular else u


class _Solve(torch.autograd.Function):
    """u = A(a)^-1 f. With l = A^-1 g (A is symmetric): df = l, da = -d/da (l . A(a) u)."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, f: Tensor, system: _System, guess: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        if system.operator.singular:
            mean = f.mean(dim=tuple(range(1, f.ndim))).abs()
            allowed = 1e3 * torch.finfo(f.dtype).eps * f.abs().amax(dim=tuple(range(1, f.ndim)))
            if bool((mean > allowed).any()):
                raise ValueError(f"without a dirichlet axis f must have mean zero, got means up to {float(mean.max())}")
        done = system.solve(f, guess)
        ctx.save_for_backward(a, done.x)
        ctx.system = system
        ctx.mark_non_differentiable(done.iterations, done.residual)
        return done.x, done.iterations, done.residual

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, *_: Any) -> tuple[Tensor | None, Tensor, None, None]:
        a, u = ctx.saved_tensors
        adjoint = ctx.system.solve(g).x
        da = None
        if ctx.needs_input_grad[0]:
            with torch.enable_grad():
                leaf = a.detach().requires_grad_()
                (da,) = torch.autograd.grad((adjoint * diffusion(u, leaf, ctx.system.grid)).sum(), leaf)
            da = -da
        return da, adjoint, None, None
