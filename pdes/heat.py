"""Heat equation."""

from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, GaussianField, Grid, Quantity, RandomField
from duhamel.pdes.base import integral
from duhamel.pdes.sampling import Distribution, LogUniform
from duhamel.pdes.semilinear import DiffusivePDE

DIFFUSIVITIES = LogUniform(1e-3, 1e-2)
TEMPERATURES = GaussianField(sigma=40.0, tau=5.0, alpha=2.0, n_modes=12)


class Heat(DiffusivePDE):
    """u_t = kappa Lap u, periodic, insulated (neumann) or held at zero (dirichlet); the scalar `diffusivity` is kappa.

    With dirichlet ends, `initial` should vanish there (`VanishingField`): else the solution has a corner at t = 0.
    """

    name = "heat"
    channels = (Quantity("temperature"),)

    def __init__(
        self,
        *,
        length: float = 1.0,
        boundary: str = Boundary.PERIODIC,
        diffusivity: Distribution = DIFFUSIVITIES,
        initial: RandomField = TEMPERATURES,
    ) -> None:
        super().__init__(length=length, boundary=boundary, diffusivity=diffusivity, initial=initial)

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """The heat, unless it leaves through a boundary."""
        if Boundary.DIRICHLET in grid.boundary:
            return {}
        return {"heat": integral(u.select(-1 - grid.ndim, 0), grid)}

    def dissipated(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        return {"variance": integral(u.select(-1 - grid.ndim, 0) ** 2, grid)}
