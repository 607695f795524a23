"""Energy of gradients: an oscillation from point to point costs much here and nearly nothing in L2."""

import math

import torch

from duhamel.fields import Grid
from duhamel.fields.spectral import derivative
from duhamel.metrics.states import Fields, PerChannel, at_least_float32, space_mean


def _spectral_energy(u: Fields, axis: int, *, extent: float) -> PerChannel:
    """Mean of |du/dx|^2 along one periodic axis, as the sum of k^2 |u_hat|^2.

    The Nyquist frequency is weighted by its k^2 like every other: taken at the grid points its derivative would vanish,
    and the one oscillation that a bad operator is known for would go unseen.
    """
    dim = 3 + axis
    n = u.shape[dim]
    u_hat = torch.fft.rfft(u, dim=dim, norm="forward").movedim(dim, -1)
    k = 2 * math.pi / extent * torch.arange(n // 2 + 1, dtype=torch.float64)
    weight = 2 * k.square()
    if n % 2 == 0:
        weight[-1] /= 2
    energy = (u_hat.real.square() + u_hat.imag.square()) * weight.to(device=u.device, dtype=u.dtype)
    total = energy.sum(-1)
    return space_mean(total) if u.ndim > 4 else total


def gradient_energy(u: Fields, grid: Grid) -> PerChannel:
    """Mean of |grad u|^2 over space: spectral along periodic axes, second-order differences along the others.

    Unit: that of u over length, squared. One-sided differences at the two ends of an axis are of first order where it
    has only 2 points.
    """
    if tuple(u.shape[3:]) != grid.shape:
        raise ValueError(f"fields of shape {tuple(u.shape)} do not lie on a grid of shape {grid.shape}")
    u = at_least_float32(u)
    total = u.new_zeros(u.shape[:3])
    for axis, periodic in enumerate(grid.periodic):
        if periodic:
            total = total + _spectral_energy(u, axis, extent=grid.extent[axis])
        else:
            total = total + space_mean(_slope(u, grid, axis).square())
    return total


def sobolev_energy(u: Fields, grid: Grid, *, order: int) -> PerChannel:
    """sum_j C(order, j) mean |D^j u|^2, j <= order, D^j all derivatives of order j; sum (1 + |k|^2)^order |u_hat|^2.

    Derivatives as in `gradient_energy`, one after another; the Nyquist frequency is seen by the last of them alone.
    """
    if order < 0:
        raise ValueError(f"the order of a Sobolev norm must not be negative, got {order}")
    u = at_least_float32(u)
    total, channels = space_mean(u.square()), u.shape[2]
    derivatives = u
    for j in range(1, order + 1):
        energy = gradient_energy(derivatives, grid).unflatten(2, (-1, channels)).sum(2)
        total = total + math.comb(order, j) * energy
        if j < order:
            derivatives = torch.cat([_slope(derivatives, grid, axis) for axis in range(grid.ndim)], dim=2)
    return total


def _slope(u: Fields, grid: Grid, axis: int) -> Fields:
    if grid.periodic[axis]:
        return derivative(u, grid, axis)
    edge_order = 2 if grid.shape[axis] > 2 else 1
    (slope,) = torch.gradient(u, spacing=grid.spacing[axis], dim=3 + axis, edge_order=edge_order)
    return slope
