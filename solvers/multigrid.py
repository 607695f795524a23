"""Geometric multigrid for -div(a grad u) with a coefficient that varies and jumps."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid
from duhamel.solvers.stiffness import Stiffness

DIRECT = 1024


class Multigrid:
    """r -> one symmetric V-cycle on A(a) e = r, from zero: a preconditioner for conjugate gradients, batched.

    Cells merge two by two along every axis while all lengths are even; piecewise constant prolongation, the halved
    Galerkin matrices of `Stiffness.coarsened`, one red-black Gauss-Seidel sweep before and its mirror image after.
    The coarsest level is factorised; a shape that leaves it more than 1024 cells is refused.

    Source: Braess (1995), "Towards algebraic multigrid for elliptic problems of second order", Computing 55.
    """

    def __init__(self, a: Float[Tensor, "batch *space"], grid: Grid) -> None:
        level = Stiffness.of(a.detach(), grid)
        self.levels = [level]
        while level.diagonal[0].numel() > 16 and all(n % 2 == 0 and n > 2 for n in level.shape):
            level = level.coarsened()
            self.levels.append(level)
        if level.diagonal[0].numel() > DIRECT:
            raise ValueError(
                f"multigrid halves every axis while all are even; shape {grid.shape} ends at {level.shape}, more than "
                f"the {DIRECT} cells of a direct solve: take a shape with more factors of 2, or ScaledLaplacian"
            )
        matrix = level.dense()
        if level.singular:
            # The kernel gets a mean eigenvalue; right-hand sides without a mean never meet it.
            matrix = matrix + matrix.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None] / matrix.shape[1]
        self.factor = torch.linalg.cholesky(matrix)
        self.red = [_red(level.shape, a) for level in self.levels]

    def __call__(self, r: Float[Tensor, "batch *space"]) -> Float[Tensor, "batch *space"]:
        return self._cycle(0, r)

    def _cycle(self, depth: int, b: Tensor) -> Tensor:
        level = self.levels[depth]
        if depth == len(self.levels) - 1:
            return torch.cholesky_solve(b.flatten(1).unsqueeze(2), self.factor).reshape(b.shape)
        red = self.red[depth]
        u = red * b / level.diagonal
        u = u + (1 - red) * (b - level(u)) / level.diagonal
        u = u + _spread(self._cycle(depth + 1, _gather(b - level(u))))
        u = u + (1 - red) * (b - level(u)) / level.diagonal
        return u + red * (b - level(u)) / level.diagonal


def _gather(r: Tensor) -> Tensor:
    for dim in range(1, r.ndim):
        r = r.unflatten(dim, (-1, 2)).sum(dim=dim + 1)
    return r


def _spread(e: Tensor) -> Tensor:
    for dim in range(1, e.ndim):
        e = e.repeat_interleave(2, dim=dim)
    return e


def _red(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """1 on the cells whose indices sum to an even number, 0 on the others."""
    total = torch.zeros((), dtype=torch.long, device=like.device)
    for n in shape:
        total = total[..., None] + torch.arange(n, device=like.device)
    return (total % 2 == 0).to(like.dtype)
