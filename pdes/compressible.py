"""Ideal gases in one, two or three dimensions, without and with viscosity."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, Parameters, Quantity
from duhamel.fields.stencils import central_difference
from duhamel.pdes.base import EvolutionPDE, integral, per_sample
from duhamel.pdes.random_flow import InitialFlow, RandomFlow
from duhamel.pdes.sampling import Distribution, LogUniform

VISCOSITIES = LogUniform(1e-3, 1e-2)
FLOWS = RandomFlow()


class Euler(EvolutionPDE):
    """rho_t + div(rho v) = 0, (rho v)_t + div(rho v v) + grad p = 0, E_t + div((E + p) v) = 0.

    E = p / (gamma - 1) + rho |v|^2 / 2. Channels are density, pressure and the velocity components, in PDEBench's order
    and names; a state is their means over cells.

    ndim: space dimensions.
    """

    name = "euler"
    smooth = False
    scalars: tuple[Quantity, ...] = ()

    def __init__(
        self,
        *,
        ndim: int = 2,
        side: float = 1.0,
        boundary: str = Boundary.PERIODIC,
        heat_ratio: float = 5 / 3,
        initial: InitialFlow = FLOWS,
    ) -> None:
        if ndim not in (1, 2, 3) or heat_ratio <= 1:
            raise ValueError(f"ndim must be 1, 2 or 3 and heat_ratio above 1, got {ndim} and {heat_ratio}")
        self.ndim = ndim
        self.side = side
        self.boundary = Boundary(boundary)
        self.heat_ratio = heat_ratio
        self.initial = initial
        positive = (Quantity("density", minimum=0.0), Quantity("pressure", minimum=0.0))
        self.channels = (*positive, *(Quantity(f"V{axis}") for axis in "xyz"[:ndim]))

    def grid(self, shape: tuple[int, ...]) -> Grid:
        if len(shape) != self.ndim:
            raise ValueError(f"{self.name} has {self.ndim} space dimensions, got a grid of shape {shape}")
        n = self.ndim
        return Grid(shape=shape, extent=(self.side,) * n, boundary=(self.boundary,) * n, centring=Centring.CELL)

    def tendency(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]:
        """By central differences, in the primitive form: for smooth solutions, of order 2."""
        density, pressure, v = u[:, :1], u[:, 1:2], u[:, 2:]
        gradients = torch.stack([central_difference(u, grid, axis) for axis in range(grid.ndim)], dim=1)
        # gradients: "batch axis channel *space".
        advection = -(v.unsqueeze(2) * gradients).sum(dim=1)
        divergence = gradients[:, :, 2:].diagonal(dim1=1, dim2=2).sum(dim=-1).unsqueeze(1)
        squeeze = torch.cat([-density * divergence, -self.heat_ratio * pressure * divergence], dim=1)
        push = -gradients[:, :, 1] / density
        return advection + torch.cat([squeeze, push], dim=1)

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Over a periodic box; walls change momentum, open ends everything."""
        density, pressure, *velocity = u.unbind(-1 - grid.ndim)
        kinetic = sum((density * v**2 / 2 for v in velocity), torch.zeros_like(density))
        kept = {"mass": density, "energy": pressure / (self.heat_ratio - 1) + kinetic}
        kept |= {f"momentum_{axis}": density * v for axis, v in zip("xyz", velocity, strict=False)}
        return {name: integral(field, grid) for name, field in kept.items()}

    def sample_initial(
        self, grid: Grid, n_samples: int, generator: torch.Generator
    ) -> Float[Tensor, "batch channel *space"]:
        return self.initial.sample(grid, n_samples, generator, heat_ratio=self.heat_ratio)

    def sample_params(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Parameters:
        return Parameters.none(n_samples, grid.shape, dtype=torch.float64, device=generator.device)


class CompressibleNavierStokes(Euler):
    """Euler's equations with - div(s) in the momentum's and - div(s v + conductivity grad T) in the energy's.

    s = eta (grad v + grad v^T) + (zeta - 2 eta / 3) div v; `shear_viscosity` eta, `bulk_viscosity` zeta, T = p / rho.
    In s three-dimensional flow is meant, whatever `ndim`. PDEBench's equations are those without conduction.

    prandtl: eta gamma / (gamma - 1) / conductivity; infinite without conduction.
    """

    name = "compressible_navier_stokes"
    scalars = (Quantity("shear_viscosity", minimum=0.0), Quantity("bulk_viscosity", minimum=0.0))

    def __init__(
        self,
        *,
        ndim: int = 2,
        side: float = 1.0,
        boundary: str = Boundary.PERIODIC,
        heat_ratio: float = 5 / 3,
        prandtl: float = math.inf,
        shear_viscosity: Distribution = VISCOSITIES,
        bulk_viscosity: Distribution = VISCOSITIES,
        initial: InitialFlow = FLOWS,
    ) -> None:
        super().__init__(ndim=ndim, side=side, boundary=boundary, heat_ratio=heat_ratio, initial=initial)
        if not prandtl > 0:
            raise ValueError(f"prandtl must be positive, inf without conduction, got {prandtl}")
        self.prandtl = prandtl
        self.shear_viscosity = shear_viscosity
        self.bulk_viscosity = bulk_viscosity

    def tendency(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]:
        gradients = torch.stack([central_difference(u, grid, axis) for axis in range(grid.ndim)], dim=1)
        stress = viscous_stress(gradients[:, :, 2:], params)
        force = sum(central_difference(stress[:, axis], grid, axis) for axis in range(grid.ndim))
        heating = (stress * gradients[:, :, 2:]).sum(dim=(1, 2)).unsqueeze(1)
        if math.isfinite(self.prandtl):
            temperature = u[:, 1:2] / u[:, :1]
            heat = sum(
                central_difference(central_difference(temperature, grid, axis), grid, axis) for axis in range(grid.ndim)
            )
            heating = heating + self.conductivity(per_sample(params.scalars[:, 0], u)) * heat
        none = torch.zeros_like(heating)
        return super().tendency(u, params, grid) + torch.cat(
            [none, (self.heat_ratio - 1) * heating, force / u[:, :1]], dim=1
        )

    def conductivity(self, shear_viscosity: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return shear_viscosity * (self.heat_ratio / (self.heat_ratio - 1) / self.prandtl)

    def sample_params(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Parameters:
        eta, zeta = (d.sample(n_samples, generator) for d in (self.shear_viscosity, self.bulk_viscosity))
        return Parameters(torch.stack([eta, zeta], dim=1), eta.new_zeros(n_samples, 0, *grid.shape))


def viscous_stress(
    gradient: Float[Tensor, "batch axis component *space"], params: Parameters
) -> Float[Tensor, "batch axis component *space"]:
    """s of `CompressibleNavierStokes`, from d v_component / d x_axis."""
    eta, zeta = (params.scalars[:, i].to(gradient).reshape(-1, *(1,) * (gradient.ndim - 1)) for i in (0, 1))
    n = gradient.shape[1]
    divergence = gradient.diagonal(dim1=1, dim2=2).sum(dim=-1)
    eye = torch.eye(n, dtype=gradient.dtype, device=gradient.device).reshape(1, n, n, *(1,) * (gradient.ndim - 3))
    return eta * (gradient + gradient.transpose(1, 2)) + (zeta - 2 * eta / 3) * divergence[:, None, None] * eye
