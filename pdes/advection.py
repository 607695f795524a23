"""Linear advection on a circle."""

from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import GaussianField, Grid, Parameters, Quantity, RandomField
from duhamel.fields.fourier_space import FourierSpace
from duhamel.pdes.base import integral
from duhamel.pdes.sampling import Distribution, Uniform
from duhamel.pdes.semilinear import LinearPDE, factor

SPEEDS = Uniform(0.2, 1.0)
SMOOTH_WAVES = GaussianField(sigma=40.0, tau=5.0, alpha=2.0, n_modes=12)


class Advection(LinearPDE):
    """u_t + c u_x = 0 on a periodic interval; the scalar `speed` is c."""

    name = "advection"
    channels = (Quantity("concentration"),)
    scalars = (Quantity("speed"),)
    dimensions = (1,)

    def __init__(
        self, *, length: float = 1.0, speed: Distribution = SPEEDS, initial: RandomField = SMOOTH_WAVES
    ) -> None:
        super().__init__(length=length, initial=initial, distributions=(speed,))

    def symbol(self, params: Parameters, space: FourierSpace) -> Complex[Tensor, "batch channel mode"]:
        c = factor(params, 0, space)
        return -c * space.derivative(0, device=c.device)

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        concentration = u.select(-1 - grid.ndim, 0)
        return {"mass": integral(concentration, grid), "energy": integral(concentration**2 / 2, grid)}
