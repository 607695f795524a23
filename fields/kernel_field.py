"""Gaussian random fields with a squared-exponential kernel: smooth functions of one length scale."""

import functools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.grid import Grid

N_NODES = 64
NEGLIGIBLE = 1e-12  # share of the largest eigenvalue of an axis below which a mode is left out


@dataclass(frozen=True, kw_only=True)
class SmoothField:
    """N(0, sigma^2 prod_i k(x_i, y_i)) with k = exp(-d^2 / (2 l^2)), and d = sin(pi (x - y) / L) on periodic axes.

    Distances are in side lengths L of each axis. Samples are Karhunen-Loeve expansions: eigenfunctions of each axis are
    found on a fixed quadrature (Nystroem) and evaluated anywhere, so that a seed is one function on every grid.

    length: l, in side lengths. zero_mean: take the mean over the grid away.
    """

    length: float
    sigma: float = 1.0
    zero_mean: bool = False

    def __post_init__(self) -> None:
        if not self.length > 0.02 or self.sigma < 0:
            raise ValueError(f"length must exceed 0.02 of the side ({N_NODES} nodes) and sigma not be negative: {self}")

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        axes = [self._axis(x, periodic) for x, periodic in zip(_scaled(grid), grid.periodic, strict=True)]
        shape = [axis.shape[1] for axis in axes]
        device = generator.device
        # One draw a sample: a single large draw would make a sample depend on how many follow it.
        draws = [torch.randn(shape, generator=generator, dtype=torch.float64, device=device) for _ in range(n_samples)]
        u = torch.stack(draws)
        for axis in axes:
            # Contracting the first remaining mode axis appends a space axis: after all axes the order is right.
            u = torch.tensordot(u, axis.to(device), dims=([1], [1]))
        u = self.sigma * u
        return u - u.mean(dim=tuple(range(1, u.ndim)), keepdim=True) if self.zero_mean else u

    def _axis(self, x: Float[Tensor, " point"], periodic: bool) -> Float[Tensor, "point mode"]:
        """sqrt(lambda_j) phi_j(x): eigenfunctions at the samples, times their standard deviations."""
        nodes, eigenvalues, vectors = _eigenfunctions(self.length, periodic)
        # phi_j(x) = sum_i k(x, x_i) phi_j(x_i) / (n lambda_j), and phi_j(x_i) = sqrt(n) v_ij.
        return _kernel(x, nodes, self.length, periodic) @ vectors / (N_NODES * eigenvalues).sqrt()


def _scaled(grid: Grid) -> list[Float[Tensor, " point"]]:
    """Coordinates in side lengths."""
    return [(x - left) / side for x, left, side in zip(grid.coordinates(), grid.origin, grid.extent, strict=True)]


def _kernel(x: Tensor, y: Tensor, length: float, periodic: bool) -> Float[Tensor, "point node"]:
    distance = x[:, None] - y[None, :]
    if periodic:
        distance = torch.sin(math.pi * distance)
    return torch.exp(-distance.square() / (2 * length**2))


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)
def _eigenfunctions(length: float, periodic: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Midpoints, eigenvalues of the covariance operator and eigenvectors, those that are not negligible."""
    nodes = (torch.arange(N_NODES, dtype=torch.float64) + 0.5) / N_NODES
    eigenvalues, vectors = torch.linalg.eigh(_kernel(nodes, nodes, length, periodic) / N_NODES)
    kept = eigenvalues > NEGLIGIBLE * eigenvalues[-1]
    return nodes, eigenvalues[kept], vectors[:, kept]
