"""What the numbers of a state stand for, and so how they pass between a stored grid and a finer one."""

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Centring, Grid, resample
from duhamel.fields.extension import extend, extended, restrict


@runtime_checkable
class Transfer(Protocol):
    """Moves states and coefficient fields between a grid and one that divides its spacing by an integer."""

    def prolong(
        self, u: Float[Tensor, "batch channel *space"], grid: Grid, fine: Grid
    ) -> Float[Tensor, "batch channel *fine"]: ...

    def restrict(
        self, u: Float[Tensor, "batch channel *fine"], fine: Grid, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]: ...


class PointValues:
    """Samples of a smooth function, that is of its trigonometric interpolant.

    On Dirichlet and Neumann axes it is that of the odd or even extension, on others `resample`'s. Between any two grids
    of one domain: nodes that both have keep their samples, elsewhere the interpolant is read.
    """

    def prolong(
        self, u: Float[Tensor, "batch channel *space"], grid: Grid, fine: Grid
    ) -> Float[Tensor, "batch channel *fine"]:
        if fine == grid:
            return u
        return restrict(resample(extend(u, grid), extended(grid), extended(fine)), fine)

    def restrict(
        self, u: Float[Tensor, "batch channel *fine"], fine: Grid, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]:
        if fine == grid:
            return u
        if grid.centring is Centring.NODE and _divides(fine, grid):
            return _every(u, fine, grid)
        return restrict(resample(extend(u, fine), extended(fine), extended(grid)), grid)


class CellMeans:
    """Constant on each cell: refined by repetition, coarsened by means, so that integrals are kept.

    On node-centred grids the samples at the stored nodes are taken. ValueError where cells do not divide cells.
    """

    def prolong(
        self, u: Float[Tensor, "batch channel *space"], grid: Grid, fine: Grid
    ) -> Float[Tensor, "batch channel *fine"]:
        if fine == grid:
            return u
        if grid.centring is not Centring.CELL:
            raise NotImplementedError("values that are constant on cells need a cell-centred grid to be refined")
        _require_division(fine, grid)
        for axis, (n, m) in enumerate(zip(grid.shape, fine.shape, strict=True)):
            u = u.repeat_interleave(m // n, dim=2 + axis)
        return u

    def restrict(
        self, u: Float[Tensor, "batch channel *fine"], fine: Grid, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]:
        if fine == grid:
            return u
        _require_division(fine, grid)
        if grid.centring is Centring.NODE:
            return _every(u, fine, grid)
        for axis, (n, m) in enumerate(zip(grid.shape, fine.shape, strict=True)):
            u = u.unflatten(2 + axis, (n, m // n)).mean(dim=3 + axis)
        return u


def _divides(fine: Grid, grid: Grid) -> bool:
    """Whether the spacing of `fine` is that of `grid` over an integer, along every axis."""
    ratios = [h / fine_h for h, fine_h in zip(grid.spacing, fine.spacing, strict=True)]
    return all(math.isclose(ratio, round(ratio), rel_tol=1e-9) for ratio in ratios)


def _require_division(fine: Grid, grid: Grid) -> None:
    if not _divides(fine, grid):
        raise ValueError(f"cells of shape {fine.shape} do not divide those of shape {grid.shape}")


def _every(u: Tensor, fine: Grid, grid: Grid) -> Tensor:
    for axis, n in enumerate(grid.shape):
        kept = round(grid.spacing[axis] / fine.spacing[axis]) * torch.arange(n, device=u.device)
        u = u.index_select(2 + axis, kept)
    return u
