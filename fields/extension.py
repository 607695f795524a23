"""Zero values and zero fluxes at the ends of an axis by symmetry: the axis is half of a periodic one.

The odd extension of a smooth function that is zero at both ends, and the even one of a function whose normal derivative
is, are periodic: what is written for periodic axes serves them unchanged, where the equation keeps the symmetry.
"""

import functools
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.boundary import Boundary, Centring
from duhamel.fields.grid import Grid

SIGN = {Boundary.DIRICHLET: -1.0, Boundary.NEUMANN: 1.0}


@functools.lru_cache(maxsize=64)
def extended(grid: Grid) -> Grid:
    """The periodic grid of twice the length along every Dirichlet or Neumann axis; other axes as they are.

    >>> from duhamel.fields import Boundary, Centring, Grid
    >>> line = Grid(shape=(5,), extent=(1.0,), boundary=(Boundary.NEUMANN,), centring=Centring.NODE)
    >>> extended(line).shape, extended(line).extent, extended(line).spacing == line.spacing
    ((8,), (2.0,), True)
    """
    mirrored = [b in SIGN for b in grid.boundary]
    node = grid.centring is Centring.NODE
    return replace(
        grid,
        shape=tuple(2 * n - 2 * node if m else n for n, m in zip(grid.shape, mirrored, strict=True)),
        extent=tuple(2 * side if m else side for side, m in zip(grid.extent, mirrored, strict=True)),
        boundary=tuple(Boundary.PERIODIC if m else b for b, m in zip(grid.boundary, mirrored, strict=True)),
    )


def extend(u: Float[Tensor, "batch channel *space"], grid: Grid) -> Float[Tensor, "batch channel *whole"]:
    """Samples on `extended(grid)`: odd about the ends of Dirichlet axes, even about those of Neumann axes.

    Samples that lie on the ends of a node-centred Dirichlet axis are taken to be zero, whatever they are.
    """
    for axis, boundary in enumerate(grid.boundary):
        if boundary not in SIGN:
            continue
        dim, n = 2 + axis, grid.shape[axis]
        inner = u if grid.centring is Centring.CELL else u.narrow(dim, 1, n - 2)
        mirror = SIGN[boundary] * inner.flip(dim)
        if grid.centring is Centring.CELL:
            u = torch.cat([u, mirror], dim)
        else:
            ends = u.narrow(dim, 0, 1), u.narrow(dim, n - 1, 1)
            left, right = (0 * end if boundary is Boundary.DIRICHLET else end for end in ends)
            u = torch.cat([left, inner, right, mirror], dim)
    return u


def restrict(u: Float[Tensor, "batch channel *whole"], grid: Grid) -> Float[Tensor, "batch channel *space"]:
    """The half of every mirrored axis that lies on `grid`; the inverse of `extend`."""
    for axis, n in enumerate(grid.shape):
        u = u.narrow(2 + axis, 0, n)
    return u
