"""-div(a grad u) by cell-centred finite volumes: the discrete operator that Darcy's residual and solver share."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid


def require_dirichlet_cells(grid: Grid) -> None:
    """ValueError unless the grid is cell-centred with Dirichlet conditions on every axis."""
    if grid.centring is not Centring.CELL or any(b is not Boundary.DIRICHLET for b in grid.boundary):
        raise ValueError(
            "these finite volumes need a cell-centred grid with dirichlet on every axis, got "
            f"{grid.centring!s}-centred with boundary {[str(b) for b in grid.boundary]}"
        )


def transmissibilities(a: Float[Tensor, "batch *space"], grid: Grid, axis: int) -> Float[Tensor, "batch *face"]:
    """Flux per unit of area and of pressure difference, divided by h: n + 1 faces along `axis`, both ends included.

    Inside, the harmonic mean of the two cells (exact where a is constant on cells); at the ends, the half cell between
    the last centre and the boundary.
    """
    h = grid.spacing[axis]
    dim = 1 + axis
    n = grid.shape[axis]
    left, right = a.narrow(dim, 0, n - 1), a.narrow(dim, 1, n - 1)
    inside = 2 * left * right / (left + right)
    return torch.cat([2 * a.narrow(dim, 0, 1), inside, 2 * a.narrow(dim, n - 1, 1)], dim=dim) / h**2


def diffusion(
    u: Float[Tensor, "batch *space"], a: Float[Tensor, "batch *space"], grid: Grid
) -> Float[Tensor, "batch *space"]:
    """-div(a grad u) with u = 0 on the boundary; of order 2 for a smooth a or one constant on the cells."""
    require_dirichlet_cells(grid)
    total = torch.zeros_like(u)
    for axis in range(grid.ndim):
        zero = torch.zeros_like(u.narrow(1 + axis, 0, 1))
        jump = torch.diff(torch.cat([zero, u, zero], dim=1 + axis), dim=1 + axis)
        total = total - torch.diff(transmissibilities(a, grid, axis) * jump, dim=1 + axis)
    return total
