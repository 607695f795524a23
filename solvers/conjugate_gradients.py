"""Preconditioned conjugate gradients for many symmetric systems at once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

LinearMap = Callable[[Tensor], Tensor]
Test = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Iterate:
    """What the iteration ended with, by sample.

    iterations: operator applications until the recursive residual met the tolerance, or all that were allowed.
    residual: ||b - A x|| / ||b||, computed anew from x; rounding keeps it above about eps ||A|| ||x|| / ||b||.
    converged: the recursive residual met the tolerance, or the iterate was good enough; b - A x is finite.
    """

    x: Float[Tensor, "batch *space"]
    iterations: Int[Tensor, " batch"]
    residual: Float[Tensor, " batch"]
    converged: Bool[Tensor, " batch"]


def conjugate_gradients(
    operator: LinearMap,
    b: Float[Tensor, "batch *space"],
    *,
    precondition: LinearMap,
    tolerance: float,
    max_iterations: int,
    guess: Float[Tensor, "batch *space"] | None = None,
    enough: Test | None = None,
) -> Iterate:
    """x of A x = b, A and the preconditioner symmetric and positive definite on the span of the right-hand sides.

    A sample stops changing once ||r|| <= tolerance ||b||; the loop ends with the last of them. Never raises: with
    `max_iterations` small it is k steps of the iteration, whatever was reached. Carries no graph.

    enough: (x, r) -> whether a sample's iterate is good enough, another reason for it to stop.

    Source: Saad (2003), Iterative Methods for Sparse Linear Systems, algorithm 9.1.
    """
    x = torch.zeros_like(b) if guess is None else guess.clone()
    r = b.clone() if guess is None else b - operator(x)
    bound = tolerance**2 * _dot(b, b)

    def unfinished(x: Tensor, r: Tensor) -> Tensor:
        above = _dot(r, r) > bound
        return above if enough is None else above & ~enough(x, r).reshape(above.shape)

    active = unfinished(x, r)
    iterations = torch.zeros(len(b), dtype=torch.long, device=b.device)
    p, rz = torch.zeros_like(b), torch.ones_like(bound)
    while int(iterations.max()) < max_iterations and bool(active.any()):
        z = precondition(r)
        rz_next = _dot(r, z)
        # A sample that has converged stands still; its own quotients may be 0 / 0.
        p = z + torch.where(active & (iterations.reshape(bound.shape) > 0), rz_next / rz, 0.0) * p
        rz = rz_next
        Ap = operator(p)
        alpha = torch.where(active, rz / _dot(p, Ap), 0.0)
        x = x + alpha * p
        r = r - alpha * Ap
        iterations += active.flatten()
        active = active & unfinished(x, r)
    left = b - operator(x)
    scale = _dot(b, b).flatten().sqrt()
    residual = torch.where(scale == 0, 0.0, _dot(left, left).flatten().sqrt() / scale)
    return Iterate(x, iterations, residual, ~active.flatten() & left.flatten(1).isfinite().all(dim=1))


def _dot(a: Float[Tensor, "batch *space"], b: Float[Tensor, "batch *space"]) -> Float[Tensor, "batch ..."]:
    """One number a sample, shaped to broadcast."""
    return (a * b).flatten(1).sum(dim=1).reshape(-1, *(1,) * (a.ndim - 1))
