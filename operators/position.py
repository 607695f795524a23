"""Where a point lies, as input functions: smooth on the domain, periodic where it is, the same on every grid."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid


def position_features(grid: Grid, domain: Grid, *, n_frequencies: int, like: Tensor) -> Float[Tensor, "feature *space"]:
    """sin and cos of 2 pi k x on periodic axes, x and cos of pi k x on others, k = 1 .. n_frequencies, x in [0, 1].

    domain: the grid of training, whose origin and extent make x.
    """
    features = []
    axes = [(x - left) / side for x, left, side in zip(grid.coordinates(), domain.origin, domain.extent, strict=True)]
    for x, periodic in zip(torch.meshgrid(*axes, indexing="ij"), grid.periodic, strict=True):
        k = torch.arange(1, n_frequencies + 1, dtype=torch.float64).reshape(-1, *(1,) * grid.ndim)
        if periodic:
            features += [torch.sin(2 * math.pi * k * x), torch.cos(2 * math.pi * k * x)]
        else:
            features += [x[None], torch.cos(math.pi * k * x)]
    return torch.cat(features).to(like)


def n_position_features(grid: Grid, n_frequencies: int) -> int:
    return sum(2 * n_frequencies if periodic else n_frequencies + 1 for periodic in grid.periodic)


def quadrature(grid: Grid, *, like: Tensor) -> Float[Tensor, "*space"]:
    """Weights of the mean over the domain: equal, but half at the ends of axes that hold both of them."""
    weights = torch.ones((), dtype=torch.float64)
    for n, n_intervals in zip(grid.shape, grid.intervals, strict=True):
        w = torch.ones(n, dtype=torch.float64)
        if n_intervals < n:
            w[0] = w[-1] = 0.5
        weights = weights[..., None] * (w / w.sum())
    return weights.to(like)
