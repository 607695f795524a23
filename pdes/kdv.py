"""Korteweg-de Vries equation on a circle."""

from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import GaussianField, Grid, Parameters, Quantity, RandomField
from duhamel.fields.fourier_space import FourierSpace
from duhamel.fields.spectral import derivative
from duhamel.pdes.base import integral, per_sample
from duhamel.pdes.sampling import Distribution, Uniform
from duhamel.pdes.semilinear import SemilinearPDE, factor

DISPERSIONS = Uniform(0.8, 1.2)
LONG_WAVES = GaussianField(sigma=0.4, tau=0.6, alpha=2.0, n_modes=5, zero_mean=True)


class KdV(SemilinearPDE):
    """u_t + 6 u u_x + d u_xxx = 0 on a periodic interval; the scalar `dispersion` is d.

    A soliton of speed c is (c / 2) sech^2(sqrt(c / d) (x - c t) / 2).
    """

    name = "kdv"
    channels = (Quantity("elevation"),)
    scalars = (Quantity("dispersion"),)
    dimensions = (1,)

    def __init__(
        self, *, length: float = 32.0, dispersion: Distribution = DISPERSIONS, initial: RandomField = LONG_WAVES
    ) -> None:
        super().__init__(length=length, initial=initial, distributions=(dispersion,))

    def symbol(self, params: Parameters, space: FourierSpace) -> Complex[Tensor, "batch channel mode"]:
        d = factor(params, 0, space)
        return -d * space.derivative(0, order=3, device=d.device)

    def nonlinear(
        self, v: Complex[Tensor, "batch channel mode"], params: Parameters, space: FourierSpace
    ) -> Complex[Tensor, "batch channel mode"]:
        return space.slope(0, space.square(v), scale=-3.0)

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        elevation = u.select(-1 - grid.ndim, 0)
        return {"mass": integral(elevation, grid), "momentum": integral(elevation**2 / 2, grid)}

    def hamiltonian(self, u: Float[Tensor, "batch 1 x"], params: Parameters, grid: Grid) -> Float[Tensor, " batch"]:
        """The third invariant, int d u_x^2 / 2 - u^3."""
        density = per_sample(params.scalars[:, 0], u) * derivative(u, grid, 0) ** 2 / 2 - u**3
        return integral(density[:, 0], grid)
