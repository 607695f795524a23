"""Kuramoto-Sivashinsky equation on a circle."""

import math

from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import GaussianField, Grid, Parameters, Quantity, RandomField
from duhamel.fields.fourier_space import FourierSpace
from duhamel.pdes.base import integral
from duhamel.pdes.sampling import Distribution, Uniform
from duhamel.pdes.semilinear import SemilinearPDE, factor

VISCOSITIES = Uniform(0.9, 1.1)
RIPPLES = GaussianField(sigma=2.0, tau=1.0, alpha=2.0, n_modes=12, zero_mean=True)


class KuramotoSivashinsky(SemilinearPDE):
    """u_t + u u_x + u_xx + nu u_xxxx = 0 on a periodic interval; the scalar `viscosity` is nu.

    Chaotic on long intervals: at length 22 the leading Lyapunov exponent is 0.043 (Cvitanovic et al., 2010), on long
    ones about 0.09. Errors grow tenfold in some 25 to 50 units of time, whoever solves it.
    """

    name = "kuramoto_sivashinsky"
    channels = (Quantity("velocity"),)
    scalars = (Quantity("viscosity", minimum=0.0),)
    dimensions = (1,)

    def __init__(
        self,
        *,
        length: float = 16 * math.pi,
        viscosity: Distribution = VISCOSITIES,
        initial: RandomField = RIPPLES,
    ) -> None:
        super().__init__(length=length, initial=initial, distributions=(viscosity,))

    @property
    def lyapunov_exponent(self) -> float | None:
        """Of viscosity 1: at length 22, and on long intervals; in between none is stated."""
        return 0.043 if math.isclose(self.length, 22.0, rel_tol=1e-2) else 0.09 if self.length >= 40.0 else None

    def symbol(self, params: Parameters, space: FourierSpace) -> Float[Tensor, "batch channel mode"]:
        nu = factor(params, 0, space)
        second, fourth = (space.derivative(0, order=order, device=nu.device).real for order in (2, 4))
        return -second - nu * fourth

    def nonlinear(
        self, v: Complex[Tensor, "batch channel mode"], params: Parameters, space: FourierSpace
    ) -> Complex[Tensor, "batch channel mode"]:
        return space.slope(0, space.square(v), scale=-0.5)

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        return {"mass": integral(u.select(-1 - grid.ndim, 0), grid)}
