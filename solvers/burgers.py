"""Burgers by pseudo-spectral ETDRK4."""

from jaxtyping import Complex
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.fields.spectral import derivative_symbol, resolved_modes, to_modes, to_samples, wavenumbers
from duhamel.pdes import Burgers
from duhamel.pdes.base import require_line
from duhamel.solvers.base import Solver, reference_solver, require_step
from duhamel.solvers.etdrk import ETDRK4


class BurgersETDRK4(ETDRK4):
    """u_t + (u^2 / 2)_x = nu u_xx: diffusion exact, the flux dealiased by the 2/3 rule before and after the product."""

    def __init__(self, grid: Grid, dt: float, *, substeps: int = 1, tail_bound: float = 1e-6) -> None:
        super().__init__(
            grid,
            dt,
            symbol=self._diffusion,
            nonlinearity=self._flux,
            substeps=substeps,
            tail_bound=tail_bound,
        )

    def _diffusion(self, params: Parameters) -> Tensor:
        nu = params.scalars[:, :1, None].double()
        if bool((nu <= 0).any()):
            raise ValueError(f"viscosity must be positive, got {float(nu.min())}")
        return -nu * wavenumbers(self.grid, device=nu.device)[0] ** 2

    def _flux(
        self, u_hat: Complex[Tensor, "batch channel mode"], params: Parameters
    ) -> Complex[Tensor, "batch channel mode"]:
        kept = resolved_modes(self.grid, device=u_hat.device)
        u = to_samples(u_hat * kept, self.grid)
        d_dx = derivative_symbol(self.grid, 0, device=u_hat.device).to(u_hat.dtype)
        return -0.5 * d_dx * kept * to_modes(u**2, self.grid)


@reference_solver.register
def _(pde: Burgers, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    require_line(pde, grid.shape)
    require_step(dt, substeps)
    return BurgersETDRK4(grid, dt, substeps=substeps)
