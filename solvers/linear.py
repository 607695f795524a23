"""Linear equations with constant coefficients, exactly: every Fourier coefficient evolves by itself."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.fields.extension import extend, extended, restrict
from duhamel.pdes.semilinear import LinearPDE, SpectralPDE, factor
from duhamel.pdes.wave import Wave
from duhamel.solvers.base import EXACT, Solver, reference_solver, require_step
from duhamel.solvers.remembered import Remembered
from duhamel.solvers.transfer import PointValues, Transfer


class ExactPropagator(ABC):
    """u(t + dt) of the trigonometric interpolant of u(t), for one equation u_t = L u.

    Dirichlet and Neumann axes are solved on their odd and even extension.
    """

    order: ClassVar[int] = EXACT
    transfer: ClassVar[Transfer] = PointValues()

    def __init__(self, pde: SpectralPDE, grid: Grid, dt: float) -> None:
        pde.require_grid(grid)
        require_step(dt, 1)
        self.pde = pde
        self.grid = grid
        self.dt = dt
        self.space = pde.space(extended(grid))
        self._factors = Remembered(self._checked)

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        v = self.space.modes(extend(u, self.grid))
        return restrict(self.space.samples(self.turned(v, self._factors(params, v))), self.grid)

    def _checked(self, params: Parameters, like: Tensor) -> Sequence[Tensor]:
        self.pde.require_params(params)
        factors = self.factors(params)
        return [f.to(like.dtype) if f.is_complex() else f.to(like.real.dtype).unsqueeze(-1) for f in factors]

    @abstractmethod
    def factors(self, params: Parameters) -> Sequence[Float[Tensor, "..."] | Complex[Tensor, "..."]]:
        """What the evolution over dt multiplies coefficients by, in float64 or complex128."""

    @abstractmethod
    def turned(self, v: Complex[Tensor, "..."], factors: Sequence[Tensor]) -> Complex[Tensor, "..."]:
        """Coefficients after dt; v may be overwritten. Real factors come with a last axis, for pairs of numbers."""


class FourierExponential(ExactPropagator):
    """exp(L dt): each coefficient times exp(symbol dt)."""

    pde: LinearPDE

    def factors(self, params: Parameters) -> Sequence[Tensor]:
        return [torch.exp(self.dt * self.pde.symbol(params, self.space))]

    def turned(self, v: Complex[Tensor, "..."], factors: Sequence[Tensor]) -> Complex[Tensor, "..."]:
        (turn,) = factors
        if turn.requires_grad:
            return v * (turn if turn.is_complex() else turn.squeeze(-1))
        return v.mul_(turn) if turn.is_complex() else torch.view_as_complex(torch.view_as_real(v).mul_(turn))


class WavePropagator(ExactPropagator):
    """Each mode turns by the angle c |k| dt: u cos + w sin / (c |k|), w cos - u c |k| sin; the mean drifts by w dt."""

    def factors(self, params: Parameters) -> Sequence[Tensor]:
        c = factor(params, 0, self.space)
        frequency = c * (-self.space.laplacian(device=c.device)).sqrt()
        angle = frequency * self.dt
        drift, pull = self.dt * torch.sinc(angle / math.pi), -frequency * torch.sin(angle)
        return [torch.cos(angle), torch.cat([drift, pull], dim=1)]

    def turned(self, v: Complex[Tensor, "..."], factors: Sequence[Tensor]) -> Complex[Tensor, "..."]:
        cosine, exchange = factors
        x = torch.view_as_real(v)
        turned = cosine * x
        turned[:, :1].addcmul_(exchange[:, :1], x[:, 1:])
        turned[:, 1:].addcmul_(exchange[:, 1:], x[:, :1])
        return torch.view_as_complex(turned)


@reference_solver.register
def _(pde: LinearPDE, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    """One exponential whatever `substeps` is: exponentials compose exactly."""
    require_step(dt, substeps)
    return FourierExponential(pde, grid, dt)


@reference_solver.register
def _(pde: Wave, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    """One turn whatever `substeps` is: turns compose exactly."""
    require_step(dt, substeps)
    return WavePropagator(pde, grid, dt)
