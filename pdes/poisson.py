"""Poisson's equation with a random source."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, Parameters, Quantity, RandomField
from duhamel.fields.kernel_field import SmoothField
from duhamel.fields.spectral import derivative
from duhamel.pdes.base import StationaryPDE
from duhamel.pdes.diffusion import diffusion

SOURCES = SmoothField(length=0.2, zero_mean=True)


class Poisson(StationaryPDE):
    """-Lap u = f on a box, periodic with f and u of mean zero, or u = 0 on the boundary; the coefficient `source` is f.

    boundary: periodic or dirichlet, the same on every axis. source: distribution of f; its mean is removed where the
        axes are periodic, for no u has a Laplacian of another mean.
    """

    name = "poisson"
    channels = (Quantity("potential"),)
    coefficients = (Quantity("source"),)

    def __init__(self, *, side: float = 1.0, boundary: str = Boundary.PERIODIC, source: RandomField = SOURCES) -> None:
        if boundary not in (Boundary.PERIODIC, Boundary.DIRICHLET):
            raise ValueError(f"poisson is solved with periodic or dirichlet axes, got {boundary}")
        self.side, self.boundary, self.source = side, Boundary(boundary), source

    def grid(self, shape: tuple[int, ...]) -> Grid:
        n = len(shape)
        return Grid(shape=shape, extent=(self.side,) * n, boundary=(self.boundary,) * n, centring=Centring.CELL)

    def residual(
        self, u: Float[Tensor, "batch time channel *space"], params: Parameters, grid: Grid, dt: float
    ) -> Float[Tensor, "batch frame channel *space"]:
        """-Lap u - f at every frame after the guess: spectral on periodic axes, else by finite volumes of order 2."""
        solution, f = self.solutions(u, dt)[:, :, 0], params.fields[:, :1]
        if all(grid.periodic):
            minus_laplacian = -sum(
                (derivative(solution, grid, axis, order=2) for axis in range(grid.ndim)), torch.zeros_like(solution)
            )
        else:
            flat = solution.flatten(0, 1)
            minus_laplacian = diffusion(flat, torch.ones_like(flat), grid).unflatten(0, solution.shape[:2])
        return (minus_laplacian - f).unsqueeze(2)

    def sample_params(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Parameters:
        f = self.source.sample(grid, n_samples, generator).unsqueeze(1)
        if all(grid.periodic):
            f = f - f.mean(dim=tuple(range(2, f.ndim)), keepdim=True)
        return Parameters(f.new_zeros(n_samples, 0), f)
