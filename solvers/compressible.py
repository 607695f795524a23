"""Ideal gases by finite volumes: Harten-Lax-van Leer fluxes with contact (HLLC), central viscous fluxes."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.pdes import CompressibleNavierStokes, Euler
from duhamel.pdes.base import per_sample
from duhamel.pdes.compressible import viscous_stress
from duhamel.solvers.base import Solver, reference_solver, require_step
from duhamel.solvers.conservation_law import ConservationLaw, hll_speeds, inside
from duhamel.solvers.finite_volume import GHOSTS, FiniteVolume


class IdealGas(ConservationLaw):
    """Stored and primitive: density, pressure, velocity; conserved: density, energy, momentum.

    Source: Toro (2009), Riemann Solvers, 3rd ed., section 10.4 (HLLC), with wave speeds of Davis by eq. (10.38).
    """

    def __init__(self, heat_ratio: float) -> None:
        self.heat_ratio = heat_ratio

    def conserved(self, u: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        density, pressure, v = u[:, :1], u[:, 1:2], u[:, 2:]
        energy = pressure / (self.heat_ratio - 1) + density * v.square().sum(dim=1, keepdim=True) / 2
        return torch.cat([density, energy, density * v], dim=1)

    def stored(self, q: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        density, energy, momentum = q[:, :1], q[:, 1:2], q[:, 2:]
        v = momentum / density
        pressure = (self.heat_ratio - 1) * (energy - (momentum * v).sum(dim=1, keepdim=True) / 2)
        return torch.cat([density, pressure, v], dim=1)

    def primitive(self, q: Float[Tensor, "batch ..."], params: Parameters) -> Float[Tensor, "batch ..."]:
        return self.stored(q)

    def margins(self, q: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        density, energy, momentum = q[:, :1], q[:, 1:2], q[:, 2:]
        return torch.cat([density, energy - momentum.square().sum(dim=1, keepdim=True) / (2 * density)], dim=1)

    def mirrored(self, w: Float[Tensor, "batch ..."], axis: int, side: int) -> Float[Tensor, "batch ..."]:
        """A wall that the gas slides along."""
        return torch.cat([w[:, : 2 + axis], -w[:, 2 + axis : 3 + axis], w[:, 3 + axis :]], dim=1)

    def rate(self, w: Float[Tensor, "batch ..."], params: Parameters, grid: Grid) -> Float[Tensor, "batch ..."]:
        # The root of a negative pressure is nan, which the scheme refuses.
        sound = torch.sqrt(self.heat_ratio * w[:, 1] / w[:, 0])
        speeds = [(w[:, 2 + axis].abs() + sound) / h for axis, h in enumerate(grid.spacing)]
        return grid.ndim * torch.stack(speeds).amax(dim=0)

    def flux(
        self, left: Float[Tensor, "batch ..."], right: Float[Tensor, "batch ..."], axis: int
    ) -> tuple[Float[Tensor, "batch ..."], Float[Tensor, "batch ..."]]:
        n = 2 + axis
        (rho_l, p_l, v_l), (rho_r, p_r, v_r) = ((w[:, :1], w[:, 1:2], w[:, n : n + 1]) for w in (left, right))
        c_l, c_r = torch.sqrt(self.heat_ratio * p_l / rho_l), torch.sqrt(self.heat_ratio * p_r / rho_r)
        s_l, s_r = hll_speeds(v_l - c_l, v_l + c_l, v_r - c_r, v_r + c_r)
        m_l, m_r = rho_l * (s_l - v_l), rho_r * (s_r - v_r)
        contact = (p_r - p_l + m_l * v_l - m_r * v_r) / (m_l - m_r)
        from_left = contact >= 0
        w = torch.where(from_left, left, right)
        s = torch.where(from_left, s_l.clamp_max(0), s_r.clamp_min(0))
        outer, star = self._physical(w, axis), self._star(w, torch.where(from_left, s_l, s_r), contact, axis)
        flux = outer + s * (star - self.conserved(w))
        return flux, flux

    def _physical(self, w: Float[Tensor, "batch ..."], axis: int) -> Float[Tensor, "batch ..."]:
        n = 2 + axis
        q, v, p = self.conserved(w), w[:, n : n + 1], w[:, 1:2]
        push = torch.zeros_like(w)
        push[:, 1:2], push[:, n : n + 1] = p * v, p
        return q * v + push

    def _star(self, w: Tensor, s: Tensor, contact: Tensor, axis: int) -> Tensor:
        """Between the outer wave s and the contact (Toro, eq. (10.39))."""
        n = 2 + axis
        density, pressure, v = w[:, :1], w[:, 1:2], w[:, n : n + 1]
        ratio = (s - v) / (s - contact)
        energy = self.conserved(w)[:, 1:2] + density * (contact - v) * (contact + pressure / (density * (s - v)))
        velocity = torch.cat([w[:, 2:n], contact, w[:, n + 1 :]], dim=1)
        return ratio * torch.cat([density, energy, density * velocity], dim=1)

    def safe_flux(
        self, left: Float[Tensor, "batch ..."], right: Float[Tensor, "batch ..."], axis: int
    ) -> Float[Tensor, "batch ..."] | None:
        speeds = (w[:, 2 + axis].abs() + torch.sqrt(self.heat_ratio * w[:, 1] / w[:, 0]) for w in (left, right))
        fastest = torch.maximum(*speeds).unsqueeze(1)
        mean = (self._physical(left, axis) + self._physical(right, axis)) / 2
        return mean - fastest * (self.conserved(right) - self.conserved(left)) / 2


class ViscousGas(IdealGas):
    """With the stress and the heat conduction of `CompressibleNavierStokes`; walls hold the gas at their own velocity.

    wall_velocity: of the lower and upper wall across each wall axis, by component; at rest where not given. Walls
        are adiabatic.
    """

    def __init__(
        self, pde: CompressibleNavierStokes, *, wall_velocity: dict[tuple[int, int], tuple[float, ...]] | None = None
    ) -> None:
        super().__init__(pde.heat_ratio)
        self.pde = pde
        self.wall_velocity = wall_velocity or {}

    def require_params(self, params: Parameters) -> None:
        self.pde.require_params(params)

    def mirrored(self, w: Float[Tensor, "batch ..."], axis: int, side: int) -> Float[Tensor, "batch ..."]:
        velocity = self.wall_velocity.get((axis, side), (0.0,) * (w.shape[1] - 2))
        wall = torch.tensor(velocity, dtype=w.dtype, device=w.device).reshape(-1, *(1,) * (w.ndim - 2))
        return torch.cat([w[:, :2], 2 * wall - w[:, 2:]], dim=1)

    def rate(self, w: Float[Tensor, "batch ..."], params: Parameters, grid: Grid) -> Float[Tensor, "batch ..."]:
        """Plus 2 nu / h^2 by axis, nu the larger of the diffusivities of momentum and heat."""
        eta, zeta = (per_sample(params.scalars[:, i], w[:, 0]) for i in (0, 1))
        largest = torch.maximum(4 / 3 * eta + zeta, (self.heat_ratio - 1) * self.pde.conductivity(eta)) / w[:, 0]
        # Heun is stable up to step * (4 nu / h^2) = 2, summed over axes: cfl = 0.45 leaves a factor of two.
        return super().rate(w, params, grid) + sum(2 / h**2 for h in grid.spacing) * largest

    def diffusive_flux(
        self, padded: Float[Tensor, "batch ..."], axis: int, params: Parameters, grid: Grid
    ) -> Float[Tensor, "batch ..."]:
        w = torch.cat([padded[:, 1:2] / padded[:, :1], padded[:, 2:]], dim=1)  # temperature, velocity
        dim, n, h = 2 + axis, grid.shape[axis], grid.spacing
        near = inside(w, axis, GHOSTS).narrow(dim, GHOSTS - 1, n + 2)
        mean = (near.narrow(dim, 0, n + 1) + near.narrow(dim, 1, n + 1)) / 2
        gradients = []
        for along in range(grid.ndim):
            if along == axis:
                gradients.append(torch.diff(near, dim=dim) / h[axis])
                continue
            wide, m = w, grid.shape[along]
            for other in range(grid.ndim):
                if other not in (axis, along):
                    wide = wide.narrow(2 + other, GHOSTS, grid.shape[other])
            wide = wide.narrow(dim, GHOSTS - 1, n + 2)
            slope = (wide.narrow(2 + along, GHOSTS + 1, m) - wide.narrow(2 + along, GHOSTS - 1, m)) / (2 * h[along])
            gradients.append((slope.narrow(dim, 0, n + 1) + slope.narrow(dim, 1, n + 1)) / 2)
        gradient = torch.stack(gradients, dim=1)
        stress = viscous_stress(gradient[:, :, 1:], params)[:, axis]
        work = (stress * mean[:, 1:]).sum(dim=1, keepdim=True)
        if math.isfinite(self.pde.prandtl):
            conductivity = self.pde.conductivity(per_sample(params.scalars[:, 0], w).to(w))
            work = work + conductivity * gradient[:, axis, :1]
        return -torch.cat([torch.zeros_like(work), work, stress], dim=1)


@reference_solver.register
def _(pde: Euler, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    require_step(dt, substeps)
    return FiniteVolume(IdealGas(pde.heat_ratio), grid, dt, substeps=substeps)


@reference_solver.register
def _(pde: CompressibleNavierStokes, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    require_step(dt, substeps)
    return FiniteVolume(ViscousGas(pde), grid, dt, substeps=substeps)
