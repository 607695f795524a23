"""Advection, exactly."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.fields.spectral import to_modes, to_samples, wavenumbers
from duhamel.pdes import Advection
from duhamel.pdes.base import per_sample, require_line
from duhamel.solvers.base import EXACT, Solver, reference_solver, require_step


class FourierShift:
    """u(x, t + dt) = u(x - c dt, t) for the trigonometric interpolant: each coefficient turned by exp(-i k c dt)."""

    order: ClassVar[int] = EXACT

    def __init__(self, grid: Grid, dt: float) -> None:
        self.grid = grid
        self.dt = dt

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        shift = per_sample(params.scalars[:, 0].double() * self.dt, u)
        u_hat = to_modes(u, self.grid)
        turn = torch.exp(-1j * wavenumbers(self.grid, device=u.device)[0] * shift)
        return to_samples(u_hat * turn.to(u_hat.dtype), self.grid)


@reference_solver.register
def _(pde: Advection, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    """One shift whatever `substeps` is: shifts compose exactly."""
    require_line(pde, grid.shape)
    require_step(dt, substeps)
    return FourierShift(grid, dt)
