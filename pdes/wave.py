"""Wave equation."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import Boundary, GaussianField, Grid, Parameters, Quantity, RandomField
from duhamel.fields.extension import extend, extended, restrict
from duhamel.fields.fourier_space import FourierSpace
from duhamel.pdes.base import integral, per_sample
from duhamel.pdes.sampling import Distribution, Uniform
from duhamel.pdes.semilinear import SpectralPDE, factor

SPEEDS = Uniform(0.5, 1.5)
DISPLACEMENTS = GaussianField(sigma=40.0, tau=5.0, alpha=2.0, n_modes=10, zero_mean=True)


class Wave(SpectralPDE):
    """u_tt = c^2 Lap u as u_t = w, w_t = c^2 Lap u; the scalar `speed` is c. Released from rest.

    Periodic, or with ends that are fixed (dirichlet; `initial` should vanish there) or free (neumann).
    """

    name = "wave"
    channels = (Quantity("displacement"), Quantity("velocity"))
    scalars = (Quantity("speed", minimum=0.0),)
    boundaries = (Boundary.PERIODIC, Boundary.NEUMANN, Boundary.DIRICHLET)

    def __init__(
        self,
        *,
        length: float = 1.0,
        boundary: str = Boundary.PERIODIC,
        speed: Distribution = SPEEDS,
        initial: RandomField = DISPLACEMENTS,
    ) -> None:
        super().__init__(length=length, initial=initial, distributions=(speed,), boundary=boundary)

    def tendency_modes(
        self, v: Complex[Tensor, "batch channel *mode"], params: Parameters, space: FourierSpace
    ) -> Complex[Tensor, "batch channel *mode"]:
        c = factor(params, 0, space)
        stiffness = (c**2 * space.laplacian(device=v.device)).to(v.real.dtype)
        return torch.cat([v[:, 1:], stiffness * v[:, :1]], dim=1)

    def sample_initial(
        self, grid: Grid, n_samples: int, generator: torch.Generator
    ) -> Float[Tensor, "batch channel *space"]:
        displacement = self.initial.sample(grid, n_samples, generator)
        return torch.stack([displacement, torch.zeros_like(displacement)], dim=1)

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Momentum, unless fixed ends take it up. The energy depends on the speed: `energy`."""
        if Boundary.DIRICHLET in grid.boundary:
            return {}
        return {"momentum": integral(u.select(-1 - grid.ndim, 1), grid)}

    def energy(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters, grid: Grid
    ) -> Float[Tensor, " batch"]:
        """int w^2 / 2 + c^2 |grad u|^2 / 2, which the evolution keeps, of the trigonometric interpolant."""
        space = FourierSpace(extended(grid))
        v = space.modes(extend(u[:, :1], grid))
        density = u[:, 1] ** 2 / 2
        for axis in range(grid.ndim):
            slope = restrict(space.samples(space.partial(axis, v)), grid)[:, 0]
            density = density + per_sample(params.scalars[:, 0], slope) ** 2 * slope**2 / 2
        return integral(density, grid)
