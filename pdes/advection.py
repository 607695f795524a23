"""Linear advection on a circle."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Centring, GaussianField, Grid, Parameters, Quantity, RandomField
from duhamel.fields.spectral import derivative
from duhamel.pdes.base import EvolutionPDE, integral, per_sample, require_line
from duhamel.pdes.sampling import Distribution, Uniform

SPEEDS = Uniform(0.2, 1.0)
SMOOTH_WAVES = GaussianField(sigma=40.0, tau=5.0, alpha=2.0, n_modes=12)


class Advection(EvolutionPDE):
    """u_t + c u_x = 0 on a periodic interval; the scalar `speed` is c."""

    name = "advection"
    channels = (Quantity("concentration"),)
    scalars = (Quantity("speed"),)

    def __init__(
        self,
        *,
        length: float = 1.0,
        speed: Distribution = SPEEDS,
        initial: RandomField = SMOOTH_WAVES,
    ) -> None:
        self.length = length
        self.speed = speed
        self.initial = initial

    def grid(self, shape: tuple[int, ...]) -> Grid:
        require_line(self, shape)
        return Grid(shape=shape, extent=(self.length,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)

    def tendency(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]:
        require_line(self, grid.shape)
        return -per_sample(params.scalars[:, 0], u) * derivative(u, grid, 0)

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        concentration = u.select(-1 - grid.ndim, 0)
        return {"mass": integral(concentration, grid), "energy": integral(concentration**2 / 2, grid)}

    def sample_initial(
        self, grid: Grid, n_samples: int, generator: torch.Generator
    ) -> Float[Tensor, "batch channel *space"]:
        return self.initial.sample(grid, n_samples, generator).unsqueeze(1)

    def sample_params(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Parameters:
        speed = self.speed.sample(n_samples, generator)
        return Parameters(speed.unsqueeze(1), speed.new_zeros(n_samples, 0, *grid.shape))
