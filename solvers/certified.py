"""Elliptic solves that start from anything and stop on a guaranteed bound of their error."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from duhamel.fields import Grid, Parameters, Propagator
from duhamel.pdes.diffusion import require_dirichlet_cells
from duhamel.solvers.conjugate_gradients import conjugate_gradients
from duhamel.solvers.fast_poisson import FastPoisson, ScaledLaplacian
from duhamel.solvers.stiffness import Stiffness


@dataclass(frozen=True)
class CertifiedSolution:
    """Everything by sample, errors in the energy norm |v|_A = (h v . A v)^(1/2), h the volume of a cell.

    bound: of |u - v|_A, guaranteed for the solution u of the discrete equations, from the residual of v alone.
    relative_bound: of |u - v|_A / |u|_A.
    certified: whether relative_bound meets the tolerance.
    """

    u: Float[Tensor, "batch *space"]
    bound: Float[Tensor, " batch"]
    relative_bound: Float[Tensor, " batch"]
    iterations: Int[Tensor, " batch"]
    certified: Bool[Tensor, " batch"]

    @property
    def status(self) -> str:
        return "certified" if bool(self.certified.all()) else "not certified"


@torch.no_grad()
def solve_certified(
    start: Propagator | None,
    a: Float[Tensor, "batch *space"],
    grid: Grid,
    *,
    tolerance: float,
    source: float = 1.0,
    max_iterations: int = 200,
) -> CertifiedSolution:
    """-div(a grad u) = source, u = 0 on the boundary, to a relative energy error that is guaranteed.

    start: a propagator that guesses u from `Parameters` with the field a, as a surrogate of Darcy does; None is zero.
        A poor guess costs iterations, never the guarantee. Computes in the dtype of a: float64 for small tolerances.

    A(a) >= a_min L, with L = A(1) the Laplacian: |u - v|_A^2 <= h r . L^-1 r / a_min for the residual r of any v, at
    the price of one fast Poisson solve; and |u|_A >= |v|_A - bound makes it relative. Conjugate gradients
    (`ScaledLaplacian`) stop each sample on it. Against the continuous problem nothing is certified.
    """
    require_dirichlet_cells(grid)
    if not bool((a > 0).all()):
        raise ValueError(f"permeability must be positive, its smallest value is {float(a.min())}")
    if not 0 < tolerance < 1:
        raise ValueError(f"a relative tolerance lies between 0 and 1, got {tolerance}")
    volume = 1.0
    for h in grid.spacing:
        volume *= h
    operator, poisson, f = Stiffness.of(a, grid), FastPoisson(grid), torch.full_like(a, source)
    smallest = a.flatten(1).amin(dim=1)

    def bounds(u: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """Absolute and relative, by sample."""
        bound = (volume * (r * poisson(r)).flatten(1).sum(dim=1) / smallest).clamp_min(0).sqrt()
        # u . A u without another product.
        energy = (volume * (u * (f - r)).flatten(1).sum(dim=1)).clamp_min(0).sqrt()
        return bound, torch.where(energy > bound, bound / (energy - bound), torch.inf)

    guess = None
    if start is not None:
        params = Parameters(a.new_zeros(len(a), 0), a.unsqueeze(1))
        guess = start(torch.zeros_like(a).unsqueeze(1), params).squeeze(1).to(a)
        # A guess that is not finite would spoil every iterate after it.
        guess = torch.where(guess.flatten(1).isfinite().all(dim=1).reshape(-1, *(1,) * grid.ndim), guess, 0.0)
    done = conjugate_gradients(
        operator,
        f,
        precondition=ScaledLaplacian(a, grid),
        tolerance=torch.finfo(a.dtype).eps,
        max_iterations=max_iterations,
        guess=guess,
        enough=lambda x, r: bounds(x, r)[1] <= tolerance,
    )
    # Anew from the solution: the residual of the recursion drifts by rounding.
    bound, relative = bounds(done.x, f - operator(done.x))
    return CertifiedSolution(done.x, bound, relative, done.iterations, relative <= tolerance)
