"""Diffusion of a contaminant that the soil takes up."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, Parameters, Quantity
from duhamel.pdes.base import EvolutionPDE, per_sample
from duhamel.pdes.sampling import Distribution, Uniform

# PDEBench's constants.
DIFFUSIVITY = Uniform(5e-4, 5e-4)
POROSITY = Uniform(0.29, 0.29)
BULK_DENSITY = Uniform(2880.0, 2880.0)
FREUNDLICH_COEFFICIENT = Uniform(3.5e-4, 3.5e-4)
FREUNDLICH_EXPONENT = Uniform(0.874, 0.874)
BOUNDARY_VALUE = Uniform(1.0, 1.0)
CONCENTRATIONS = Uniform(0.0, 0.2)
# Below this the retardation, infinite at zero, is that of this concentration.
SMALLEST = 1e-12


class DiffusionSorption(EvolutionPDE):
    """R(u) u_t = D u_xx on (0, L), u = c at x = 0 and u = -D u_x at x = L; R = 1 + (1 - n) / n rho k m u^(m - 1).

    Scalars, with PDEBench's symbols and values: `diffusivity` D (5e-4), `porosity` n (0.29), `bulk_density` rho (2880),
    `freundlich_coefficient` k (3.5e-4), `freundlich_exponent` m (0.874), `boundary_value` c (1). The condition at L is
    PDEBench's (its paper prints +D u_x, which is ill-posed and not what its files hold). Neither condition holds at
    both ends, so the grid says `open`.

    initial: distribution of the uniform concentration at t = 0.

    Source: Takamoto et al. (2022), PDEBench, appendix D.3; Praditia et al. (2021), Finite volume neural network.
    """

    name = "diffusion_sorption"
    smooth = False
    channels = (Quantity("u", minimum=0.0),)
    scalars = (
        Quantity("diffusivity", minimum=0.0),
        Quantity("porosity", minimum=0.0, maximum=1.0),
        Quantity("bulk_density", minimum=0.0),
        Quantity("freundlich_coefficient", minimum=0.0),
        Quantity("freundlich_exponent", minimum=0.0),
        Quantity("boundary_value", minimum=0.0),
    )

    def __init__(
        self,
        *,
        length: float = 1.0,
        diffusivity: Distribution = DIFFUSIVITY,
        porosity: Distribution = POROSITY,
        bulk_density: Distribution = BULK_DENSITY,
        freundlich_coefficient: Distribution = FREUNDLICH_COEFFICIENT,
        freundlich_exponent: Distribution = FREUNDLICH_EXPONENT,
        boundary_value: Distribution = BOUNDARY_VALUE,
        initial: Distribution = CONCENTRATIONS,
    ) -> None:
        self.length = length
        self.distributions = (
            diffusivity,
            porosity,
            bulk_density,
            freundlich_coefficient,
            freundlich_exponent,
            boundary_value,
        )
        self.initial = initial

    def grid(self, shape: tuple[int, ...]) -> Grid:
        n = len(shape)
        grid = Grid(shape=shape, extent=(self.length,) * n, boundary=(Boundary.OPEN,) * n, centring=Centring.CELL)
        self.require_grid(grid)
        return grid

    def require_grid(self, grid: Grid) -> None:
        """ValueError unless there is one space axis of cells, said to be open."""
        if grid.ndim != 1 or grid.centring is not Centring.CELL or grid.boundary != (Boundary.OPEN,):
            raise ValueError(f"{self.name} needs one open axis of cells, got {grid.to_dict()}")

    def retardation(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        """R(u)."""
        _, porosity, density, coefficient, exponent, _ = (per_sample(s.to(u), u) for s in params.scalars.unbind(1))
        factor = (1 - porosity) / porosity * density * coefficient * exponent
        return 1 + factor * u.clamp_min(SMALLEST) ** (exponent - 1)

    def tendency(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]:
        """D u_xx / R(u) by finite volumes of order 2; the solver marches this very expression."""
        self.require_grid(grid)
        (h,) = grid.spacing
        D, c = (per_sample(params.scalars[:, i].to(u), u) for i in (0, 5))
        first, last = u[..., :1], u[..., -1:]
        # The value b at L satisfies (b - last) / (h / 2) = u_x = -b / D.
        slope_at_end = -last / (D + h / 2)
        slopes = torch.cat([2 * (first - c) / h, torch.diff(u, dim=-1) / h, slope_at_end], dim=-1)
        return D * torch.diff(slopes, dim=-1) / h / self.retardation(u, params)

    def sample_initial(
        self, grid: Grid, n_samples: int, generator: torch.Generator
    ) -> Float[Tensor, "batch channel *space"]:
        return self.initial.sample(n_samples, generator).reshape(-1, 1, 1).expand(-1, 1, *grid.shape).clone()

    def sample_params(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Parameters:
        columns = torch.stack([d.sample(n_samples, generator) for d in self.distributions], dim=1)
        return Parameters(columns, columns.new_zeros(n_samples, 0, *grid.shape))
