"""Incompressible Navier-Stokes equations in two dimensions, as the transport of vorticity."""

import functools
import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import GaussianField, Grid, Parameters, Quantity, RandomField
from duhamel.fields.fourier_space import FourierSpace
from duhamel.pdes.base import integral
from duhamel.pdes.sampling import Distribution, LogUniform
from duhamel.pdes.semilinear import SemilinearPDE, factor

VISCOSITIES = LogUniform(1e-3, 1e-2)
# Li et al. (2021), section 5.3, as their code has it: covariance 7^3 (-Lap + 49)^-2.5, RMS 0.185; the paper prints
# 7^(3/2), an RMS of 0.043. They draw all modes of their grid, which leaves a rough state that no grid resolves; the
# first 15 an axis hold all but 2e-4 of its RMS.
EDDIES = GaussianField(sigma=7**1.5, tau=7.0, alpha=2.5, n_modes=15, zero_mean=True)


class NavierStokes(SemilinearPDE):
    """w_t + u . grad w = nu Lap w + f, div u = 0, on a periodic square; w = v_x - u_y, the scalar `viscosity` is nu.

    f = a (sin(2 pi (x + y) / L) + cos(2 pi (x + y) / L)) with a = `forcing`, Li et al. (2021), section 5.3.
    The mean vorticity of a periodic flow is zero, its mean velocity is taken to be zero.
    """

    name = "navier_stokes"
    channels = (Quantity("vorticity"),)
    scalars = (Quantity("viscosity", minimum=0.0),)
    dimensions = (2,)

    def __init__(
        self,
        *,
        length: float = 1.0,
        viscosity: Distribution = VISCOSITIES,
        forcing: float = 0.1,
        initial: RandomField = EDDIES,
    ) -> None:
        super().__init__(length=length, initial=initial, distributions=(viscosity,))
        self.forcing = forcing

    def symbol(self, params: Parameters, space: FourierSpace) -> Float[Tensor, "batch channel *mode"]:
        nu = factor(params, 0, space)
        return nu * space.laplacian(device=nu.device)

    def nonlinear(
        self, v: Complex[Tensor, "batch 1 *mode"], params: Parameters, space: FourierSpace
    ) -> Complex[Tensor, "batch 1 *mode"]:
        """-u . grad w = (d_yy - d_xx)(u v) + d_xy (u^2 - v^2): two transforms each way.

        Source: Basdevant (1983), J. Comput. Phys. 50(2).
        """
        to_velocity, to_transport = _multipliers(space, v.device)
        velocity = space.samples(to_velocity.to(v.dtype) * v)
        a, b = velocity[:, :1], velocity[:, 1:]
        products = space.modes(torch.cat([a * b, (a + b) * (a - b)], dim=1))
        transport = (to_transport.to(v.real.dtype) * products).sum(dim=1, keepdim=True)
        return transport + _forcing(space, self.forcing, v.device).to(v.dtype) if self.forcing else transport

    def velocity(self, u: Float[Tensor, "batch 1 *space"], grid: Grid) -> Float[Tensor, "batch 2 *space"]:
        """(psi_y, -psi_x) with -Lap psi = w."""
        space = FourierSpace(grid)
        v = space.modes(u)
        return space.samples(_multipliers(space, u.device)[0].to(v.dtype) * v)

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        return {"circulation": integral(u.select(-1 - grid.ndim, 0), grid)}

    def dissipated(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Enstrophy and kinetic energy, both kept without viscosity; nothing where a force acts."""
        if self.forcing:
            return {}
        lead, space = u.shape[: -1 - grid.ndim], u.shape[-grid.ndim :]
        flow = self.velocity(u.reshape(-1, 1, *space), grid)
        energy = integral(flow.square().sum(dim=1) / 2, grid)
        return {"enstrophy": integral(u.select(-1 - grid.ndim, 0) ** 2 / 2, grid), "energy": energy.reshape(lead)}


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)
def _multipliers(space: FourierSpace, device: torch.device) -> tuple[Tensor, Tensor]:
    """From w to (u, v), and from (u v, u^2 - v^2) to -u . grad w."""
    laplacian = space.laplacian(device=device)
    inverse = torch.where(laplacian == 0, 0, -1 / laplacian)
    d_x, d_y = (space.derivative(axis, device=device) for axis in (0, 1))
    d_xx, d_yy = (space.derivative(axis, order=2, device=device).real for axis in (0, 1))
    to_velocity = torch.stack([d_y * inverse, -d_x * inverse])
    return to_velocity, torch.stack([d_yy - d_xx, (d_x * d_y).real])


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)
def _forcing(space: FourierSpace, amplitude: float, device: torch.device) -> Complex[Tensor, "1 1 *mode"]:
    x, y = space.grid.mesh(device=device)
    theta = 2 * math.pi * (x - space.grid.origin[0] + y - space.grid.origin[1]) / space.grid.extent[0]
    return space.modes(amplitude * (torch.sin(theta) + torch.cos(theta))[None, None])
