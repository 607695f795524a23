"""Steady flow through a porous medium."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import (
    Boundary,
    Centring,
    GaussianField,
    Grid,
    Parameters,
    Quantity,
    RandomField,
    ThresholdedField,
)
from duhamel.pdes.base import StationaryPDE
from duhamel.pdes.diffusion import diffusion

# Li et al. (2021), "Fourier Neural Operator for Parametric PDEs", section 5.2: 12 and 3 by the sign of a Gaussian field
# with covariance (-Lap + 9)^-2, Neumann, without its constant mode.
TWO_MATERIALS = ThresholdedField(
    field=GaussianField(sigma=1.0, tau=3.0, alpha=2.0, n_modes=64, zero_mean=True), above=12.0, below=3.0
)


class Darcy(StationaryPDE):
    """-div(a grad u) = f on a box, u = 0 on its boundary, f constant; the coefficient `permeability` is a.

    The permeability is constant on each cell of the grid it is stored on: that makes the continuous problem, and so
    its exact solution, well defined.

    permeability: distribution of a; must be positive.
    source: the constant f.
    """

    name = "darcy"
    channels = (Quantity("pressure"),)
    coefficients = (Quantity("permeability", minimum=0.0),)

    def __init__(self, *, side: float = 1.0, permeability: RandomField = TWO_MATERIALS, source: float = 1.0) -> None:
        self.side = side
        self.permeability = permeability
        self.source = source

    def grid(self, shape: tuple[int, ...]) -> Grid:
        n = len(shape)
        return Grid(shape=shape, extent=(self.side,) * n, boundary=(Boundary.DIRICHLET,) * n, centring=Centring.CELL)

    def residual(
        self, u: Float[Tensor, "batch time channel *space"], params: Parameters, grid: Grid, dt: float
    ) -> Float[Tensor, "batch frame channel *space"]:
        """-div(a grad u) - f at every frame after the guess, by the finite volumes of `duhamel.pdes.diffusion`."""
        solution = self.solutions(u, dt)
        a = params.repeat_interleave(solution.shape[1]).fields[:, 0]
        residual = diffusion(solution[:, :, 0].flatten(0, 1), a, grid) - self.source
        return residual.unflatten(0, solution.shape[:2]).unsqueeze(2)

    def sample_params(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Parameters:
        a = self.permeability.sample(grid, n_samples, generator).unsqueeze(1)
        return Parameters(a.new_zeros(n_samples, 0), a)
