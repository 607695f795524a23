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
        self._k = wavenumbers(grid)[0]
        self._kept = resolved_modes(grid)
        self._minus_half_ik = -0.5 * derivative_symbol(grid, 0) * self._kept

    def _diffusion(self, params: Parameters) -> Tensor:
        nu = params.scalars[:, :1, None].double()
        if bool((nu <= 0).any()):
            raise ValueError(f"viscosity must be positive, got {float(nu.min())}")
        return -nu * self._k.to(nu.device) ** 2

    def _flux(
        self, u_hat: Complex[Tensor, "batch channel mode"], params: Parameters
    ) -> Complex[Tensor, "batch channel mode"]:
        u = to_samples(u_hat * self._kept.to(u_hat.device), self.grid)
        return self._minus_half_ik.to(u_hat) * to_modes(u**2, self.grid)


@reference_solver.register
def _(pde: Burgers, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    require_line(pde, grid.shape)
    require_step(dt, substeps)
    return BurgersETDRK4(grid, dt, substeps=substeps)
