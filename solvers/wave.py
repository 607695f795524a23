"""The wave equation, exactly."""

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.fields.extension import extend, extended, restrict
from duhamel.pdes.semilinear import factor
from duhamel.pdes.wave import Wave
from duhamel.solvers.base import EXACT, Solver, reference_solver, require_step
from duhamel.solvers.transfer import PointValues, Transfer


class WavePropagator:
    """Each mode turns by the angle c |k| dt: u cos + w sin / (c |k|), w cos - u c |k| sin; the mean drifts by w dt."""

    order: ClassVar[int] = EXACT
    transfer: ClassVar[Transfer] = PointValues()

    def __init__(self, pde: Wave, grid: Grid, dt: float) -> None:
        pde.require_grid(grid)
        self.pde = pde
        self.grid = grid
        self.dt = dt
        self.space = pde.space(extended(grid))

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        self.pde.require_params(params)
        v = self.space.modes(extend(u, self.grid))
        c = factor(params, 0, self.space)
        frequency = c * (-self.space.laplacian(device=u.device)).sqrt()
        angle = frequency * self.dt
        cosine, sine = torch.cos(angle).to(u.dtype), torch.sin(angle)
        drift = (self.dt * torch.sinc(angle / math.pi)).to(u.dtype)
        pull = (frequency * sine).to(u.dtype)
        displacement, velocity = v[:, :1], v[:, 1:]
        turned = [cosine * displacement + drift * velocity, cosine * velocity - pull * displacement]
        return restrict(self.space.samples(torch.cat(turned, dim=1)), self.grid)


@reference_solver.register
def _(pde: Wave, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    """One turn whatever `substeps` is: turns compose exactly."""
    require_step(dt, substeps)
    return WavePropagator(pde, grid, dt)
