"""Allen-Cahn equation: two phases and their interface."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import Boundary, GaussianField, Grid, Parameters, Quantity, RandomField
from duhamel.fields.extension import extend, extended, restrict
from duhamel.fields.fourier_space import FourierSpace
from duhamel.pdes.base import integral, per_sample
from duhamel.pdes.sampling import Distribution, LogUniform
from duhamel.pdes.semilinear import DiffusivePDE, SemilinearPDE

DIFFUSIVITIES = LogUniform(4e-4, 2e-3)
MIXTURES = GaussianField(sigma=20.0, tau=5.0, alpha=2.0, n_modes=6, zero_mean=True)


class AllenCahn(DiffusivePDE, SemilinearPDE):
    """u_t = kappa Lap u + u - u^3; the scalar `diffusivity` is kappa.

    Periodic, without flux (neumann) or zero at the ends (dirichlet). The phases are u = 1 and u = -1, an interface
    between them is tanh(x / sqrt(2 kappa)). Values that start in [-1, 1] stay there.
    """

    name = "allen_cahn"
    channels = (Quantity("phase"),)

    def __init__(
        self,
        *,
        length: float = 1.0,
        boundary: str = Boundary.PERIODIC,
        diffusivity: Distribution = DIFFUSIVITIES,
        initial: RandomField = MIXTURES,
    ) -> None:
        super().__init__(length=length, boundary=boundary, diffusivity=diffusivity, initial=initial)

    def nonlinear(
        self, v: Complex[Tensor, "batch channel *mode"], params: Parameters, space: FourierSpace
    ) -> Complex[Tensor, "batch channel *mode"]:
        # The reaction stays whole: with u in L the error of a step is five times as large.
        u = space.samples(v)
        return space.modes(torch.addcmul(u, u.square(), u, value=-1))

    def energy(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters, grid: Grid
    ) -> Float[Tensor, " batch"]:
        """Ginzburg and Landau's, int kappa |grad u|^2 / 2 + (1 - u^2)^2 / 4: it never grows."""
        space = FourierSpace(extended(grid))
        v = space.modes(extend(u, grid))
        square = (1 - u**2) ** 2 / 4
        for axis in range(grid.ndim):
            slope = restrict(space.samples(space.partial(axis, v)), grid)
            square = square + per_sample(params.scalars[:, 0], u) * slope**2 / 2
        return integral(square[:, 0], grid)
