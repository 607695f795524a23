"""Shallow water over a bed, in one or two dimensions."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Centring, ConstantField, Grid, Parameters, Quantity, RandomField
from duhamel.fields.stencils import central_difference
from duhamel.pdes.base import EvolutionPDE, integral
from duhamel.pdes.sampling import Distribution, Uniform


@runtime_checkable
class WaterHeight(Protocol):
    """A distribution over heights of water at rest; sample i does not depend on how many are drawn."""

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]: ...


@dataclass(frozen=True, kw_only=True)
class RadialDam:
    """Height `inside` within a radius about the middle of the domain, `outside` beyond, by cell centres.

    The defaults are those of PDEBench's 2D_rdb (Takamoto et al. (2022), appendix D.6).
    """

    radius: Distribution = Uniform(0.3, 0.7)
    inside: Distribution = Uniform(2.0, 2.0)
    outside: Distribution = Uniform(1.0, 1.0)

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        middle = [o + side / 2 for o, side in zip(grid.origin, grid.extent, strict=True)]
        centre = torch.tensor(middle, dtype=torch.float64, device=generator.device).reshape(-1, *(1,) * grid.ndim)
        distance = torch.linalg.vector_norm(grid.mesh(device=generator.device) - centre, dim=0)
        heights = []
        for _ in range(n_samples):
            radius, inside, outside = (d.sample(1, generator) for d in (self.radius, self.inside, self.outside))
            heights.append(torch.where(distance <= radius, inside, outside))
        return torch.stack(heights)


DAM = RadialDam()
FLAT = ConstantField(0.0)


class ShallowWater(EvolutionPDE):
    """h_t + div m = 0, m_t + div(m m / h) + grad(g h^2 / 2) = -g h grad b; m = h v. The coefficient `bathymetry` is b.

    Channels are the height h of the water column and the discharges m. A state is its means over cells; h = 0 is dry.

    initial: of h; the water starts at rest.
    bathymetry: distribution of b, drawn without regard to h: over an uneven bed the level h + b is not flat at first.
    ndim: space dimensions.
    """

    name = "shallow_water"
    smooth = False
    coefficients = (Quantity("bathymetry"),)

    def __init__(
        self,
        *,
        ndim: int = 2,
        side: float = 5.0,
        boundary: str = Boundary.OPEN,
        gravity: float = 1.0,
        initial: WaterHeight = DAM,
        bathymetry: RandomField = FLAT,
    ) -> None:
        if ndim not in (1, 2) or gravity <= 0:
            raise ValueError(f"ndim must be 1 or 2 and gravity positive, got {ndim} and {gravity}")
        self.ndim = ndim
        self.side = side
        self.boundary = Boundary(boundary)
        self.gravity = gravity
        self.initial = initial
        self.bathymetry = bathymetry
        self.channels = (Quantity("height", minimum=0.0), *(Quantity(f"discharge_{axis}") for axis in "xy"[:ndim]))

    def grid(self, shape: tuple[int, ...]) -> Grid:
        if len(shape) != self.ndim:
            raise ValueError(f"{self.name} has {self.ndim} space dimensions, got a grid of shape {shape}")
        n = self.ndim
        return Grid(
            shape=shape,
            extent=(self.side,) * n,
            boundary=(self.boundary,) * n,
            centring=Centring.CELL,
            origin=(-self.side / 2,) * n,
        )

    def tendency(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]:
        """By central differences: for smooth solutions, of order 2."""
        h, m = u[:, :1], u[:, 1:]
        v = torch.where(h > 0, m / torch.where(h > 0, h, 1.0), 0.0)
        level = h + params.fields
        mass = -sum((central_difference(m[:, i : i + 1], grid, i) for i in range(grid.ndim)), torch.zeros_like(h))
        momentum = -sum(
            (central_difference(m * v[:, i : i + 1], grid, i) for i in range(grid.ndim)), torch.zeros_like(m)
        )
        push = torch.cat([central_difference(level, grid, axis) for axis in range(grid.ndim)], dim=1)
        return torch.cat([mass, momentum - self.gravity * h * push], dim=1)

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Water, until a wave leaves through an open end."""
        return {"mass": integral(u.select(-1 - grid.ndim, 0), grid)}

    def sample_initial(
        self, grid: Grid, n_samples: int, generator: torch.Generator
    ) -> Float[Tensor, "batch channel *space"]:
        height = self.initial.sample(grid, n_samples, generator).unsqueeze(1)
        return torch.cat([height, height.new_zeros(n_samples, self.ndim, *grid.shape)], dim=1)

    def sample_params(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Parameters:
        b = self.bathymetry.sample(grid, n_samples, generator).unsqueeze(1)
        return Parameters(b.new_zeros(n_samples, 0), b)
