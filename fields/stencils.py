"""Differences of second order on uniform grids, whatever the boundary."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.grid import Grid


def central_difference(u: Float[Tensor, "..."], grid: Grid, axis: int) -> Float[Tensor, "..."]:
    """du/dx_axis of order 2, u ending in the space axes: central, one-sided at the ends of axes that are not periodic.

    Where a spectral derivative would ring (shocks, kinks), this one is wrong in the neighbouring cells only.
    """
    dim, h = u.ndim - grid.ndim + axis, grid.spacing[axis]
    if grid.periodic[axis]:
        return (u.roll(-1, dim) - u.roll(1, dim)) / (2 * h)
    (slope,) = torch.gradient(u, spacing=h, dim=dim, edge_order=2)
    return slope
