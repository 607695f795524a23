"""-div(a grad u) by cell-centred finite volumes: the discrete operator that residuals and elliptic solvers share."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid

KINDS = (Boundary.DIRICHLET, Boundary.NEUMANN, Boundary.PERIODIC)


def require_cells(grid: Grid, kinds: tuple[Boundary, ...] = KINDS) -> None:
    """ValueError unless the grid is cell-centred with one of these conditions on every axis."""
    if grid.centring is not Centring.CELL or any(b not in kinds for b in grid.boundary):
        raise ValueError(
            f"these finite volumes need a cell-centred grid with {' or '.join(kinds)} on every axis, got "
            f"{grid.centring!s}-centred with boundary {[str(b) for b in grid.boundary]}"
        )


def require_dirichlet_cells(grid: Grid) -> None:
    """ValueError unless the grid is cell-centred with Dirichlet conditions on every axis."""
    require_cells(grid, (Boundary.DIRICHLET,))


def transmissibilities(a: Float[Tensor, "batch *space"], grid: Grid, axis: int) -> Float[Tensor, "batch *face"]:
    """Flux per unit of area and of pressure difference, divided by h: n + 1 faces along `axis`, both ends included.

    Inside, the harmonic mean of the two cells (exact where a is constant on cells). At the ends: dirichlet, the half
    cell between the last centre and the boundary; neumann, zero; periodic, one face that is held twice.
    """
    h = grid.spacing[axis]
    dim = 1 + axis
    n = grid.shape[axis]
    first, last = a.narrow(dim, 0, 1), a.narrow(dim, n - 1, 1)
    inside = _harmonic(a.narrow(dim, 0, n - 1), a.narrow(dim, 1, n - 1))
    match grid.boundary[axis]:
        case Boundary.DIRICHLET:
            ends = 2 * first, 2 * last
        case Boundary.PERIODIC:
            ends = (_harmonic(last, first),) * 2
        case _:
            ends = torch.zeros_like(first), torch.zeros_like(last)
    return torch.cat([ends[0], inside, ends[1]], dim=dim) / h**2


def diffusion(
    u: Float[Tensor, "batch *space"], a: Float[Tensor, "batch *space"], grid: Grid
) -> Float[Tensor, "batch *space"]:
    """-div(a grad u) with u = 0 on dirichlet axes, no flux through neumann ones.

    Of order 2 for a smooth a or one constant on the cells.
    """
    require_cells(grid)
    total = torch.zeros_like(u)
    for axis in range(grid.ndim):
        dim, n = 1 + axis, grid.shape[axis]
        first, last = u.narrow(dim, 0, 1), u.narrow(dim, n - 1, 1)
        left, right = (last, first) if grid.periodic[axis] else (torch.zeros_like(first),) * 2
        jump = torch.diff(torch.cat([left, u, right], dim=dim), dim=dim)
        total = total - torch.diff(transmissibilities(a, grid, axis) * jump, dim=dim)
    return total


def _harmonic(a: Float[Tensor, "..."], b: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    return 2 * a * b / (a + b)
