"""The same function at the points of another grid: resolutions of one domain."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.grid import Grid

LAGRANGE_POINTS = 4


def resample(
    u: Float[Tensor, "batch channel *space"], grid: Grid, target: Grid
) -> Float[Tensor, "batch channel *target"]:
    """Values at the points of `target` of the function whose samples on `grid` are u.

    Periodic axes: the trigonometric interpolant, exact (up and down, any centring, odd and even n) for fields with
    modes below n / 2. Other axes: Lagrange interpolation through the 4 nearest samples, of order 4 for smooth fields;
    cell-centred targets near an end are reached by the cubic of the outermost 4 samples.
    Nothing is filtered: modes that `target` cannot hold alias, as they do when samples are left out.
    """
    if tuple(u.shape[2:]) != grid.shape:
        raise ValueError(f"states of shape {tuple(u.shape)} do not lie on a grid of shape {grid.shape}")
    _require_same_domain(grid, target)
    for axis in range(grid.ndim):
        matrix = interpolation_matrix(grid, target, axis).to(device=u.device, dtype=u.dtype)
        u = torch.movedim(torch.movedim(u, 2 + axis, -1) @ matrix.mT, -1, 2 + axis)
    return u


def interpolation_matrix(grid: Grid, target: Grid, axis: int) -> Float[Tensor, "target source"]:
    """The linear map of `resample` along one axis, in float64."""
    return interpolation_weights(grid, target.coordinates()[axis], axis)


def interpolation_weights(grid: Grid, y: Float[Tensor, " target"], axis: int) -> Float[Tensor, "target source"]:
    """The linear map to the values at any coordinates y of one axis; interpolants as in `resample`."""
    x = grid.coordinates()[axis]
    if grid.periodic[axis]:
        return _dirichlet_kernel(2 * math.pi / grid.extent[axis] * (y[:, None] - x[None, :]), grid.shape[axis])
    return _lagrange((y - x[0]) / grid.spacing[axis], grid.shape[axis])


def _dirichlet_kernel(theta: Float[Tensor, "..."], n: int) -> Float[Tensor, "..."]:
    """Trigonometric interpolant of one at theta = 0 and zero at the other n - 1 equispaced points of the circle."""
    half = torch.remainder(theta + math.pi, 2 * math.pi) / 2 - math.pi / 2
    denominator = n * (torch.tan(half) if n % 2 == 0 else torch.sin(half))
    at_sample = denominator.abs() < 1e-14
    return torch.where(at_sample, 1.0, torch.sin(n * half) / torch.where(at_sample, 1.0, denominator))


def _lagrange(position: Float[Tensor, " target"], n: int) -> Float[Tensor, "target source"]:
    """Rows of Lagrange weights at positions counted in samples from the first one."""
    if n < LAGRANGE_POINTS:
        raise ValueError(f"interpolation on a non-periodic axis needs at least {LAGRANGE_POINTS} points, got {n}")
    first = (position.floor().long() - LAGRANGE_POINTS // 2 + 1).clamp(0, n - LAGRANGE_POINTS)
    local = position - first
    weights = torch.zeros(len(position), n, dtype=torch.float64)
    for i in range(LAGRANGE_POINTS):
        others = [j for j in range(LAGRANGE_POINTS) if j != i]
        weight = math.prod(((local - j) / (i - j) for j in others), start=torch.ones_like(local))
        weights[torch.arange(len(position)), first + i] = weight
    return weights


def _require_same_domain(grid: Grid, target: Grid) -> None:
    """Periodic axes need equal periods only: where a circle is cut open does not matter."""
    same = grid.boundary == target.boundary and all(
        math.isclose(a, b, rel_tol=1e-9) for a, b in zip(grid.extent, target.extent, strict=True)
    )
    for a, b, side, periodic in zip(grid.origin, target.origin, grid.extent, grid.periodic, strict=True):
        same = same and (periodic or abs(a - b) <= 1e-9 * side)
    if not same:
        raise ValueError(f"grids do not cover the same domain: {grid.to_dict()} and {target.to_dict()}")
