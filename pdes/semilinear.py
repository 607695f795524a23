"""Equations with constant coefficients in their linear part: u_t = L u + N(u), L diagonal in Fourier coefficients."""

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, Parameters, Quantity, RandomField
from duhamel.fields.extension import extend, extended, restrict
from duhamel.fields.fourier_space import FourierSpace
from duhamel.pdes.base import EvolutionPDE
from duhamel.pdes.sampling import Distribution


class SpectralPDE(EvolutionPDE):
    """u_t = F(u) in Fourier coefficients, on a periodic interval or box or one with zero values or fluxes at its ends.

    dimensions: numbers of space axes that the equation is stated in.
    boundaries: conditions that its symmetries allow to impose by extension; the same on every axis.
    length: of every side of the default domain.
    initial: distribution of each channel at t = 0, independent of the others.
    distributions: of the scalars, in their order.
    """

    dimensions: ClassVar[tuple[int, ...]] = (1, 2, 3)
    boundaries: ClassVar[tuple[Boundary, ...]] = (Boundary.PERIODIC,)

    def __init__(
        self,
        *,
        length: float,
        initial: RandomField,
        distributions: tuple[Distribution, ...] = (),
        boundary: str = Boundary.PERIODIC,
    ) -> None:
        self.length = length
        self.initial = initial
        self.distributions = distributions
        self.boundary = Boundary(boundary)

    def grid(self, shape: tuple[int, ...]) -> Grid:
        n = len(shape)
        # Reflection about the outer faces of cells needs no sample on the boundary.
        centring = Centring.NODE if self.boundary is Boundary.PERIODIC else Centring.CELL
        grid = Grid(shape=shape, extent=(self.length,) * n, boundary=(self.boundary,) * n, centring=centring)
        self.require_grid(grid)
        return grid

    def require_grid(self, grid: Grid) -> None:
        """ValueError where the equation is not stated in this dimension or cannot meet these boundary conditions."""
        if grid.ndim not in self.dimensions:
            words = {1: "one space dimension", 2: "two space dimensions", 3: "three space dimensions"}
            stated = " or ".join(words[n] for n in self.dimensions)
            raise ValueError(f"{self.name} is an equation in {stated}, got a grid of shape {grid.shape}")
        for boundary in grid.boundary:
            if boundary not in self.boundaries:
                allowed = " or ".join(self.boundaries)
                raise ValueError(f"{self.name} is solved with {allowed} axes, got {boundary!s}")

    @abstractmethod
    def tendency_modes(
        self, v: Complex[Tensor, "batch channel *mode"], params: Parameters, space: FourierSpace
    ) -> Complex[Tensor, "batch channel *mode"]:
        """Coefficients of F(u) from those of u, products taken at the samples of `space.grid`."""

    def space(self, grid: Grid, *, truncated: bool = False) -> FourierSpace:
        """Where states have their coefficients; `grid` is periodic."""
        return FourierSpace(grid, truncated)

    def tendency(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]:
        self.require_grid(grid)
        space = self.space(extended(grid))
        v = space.modes(extend(u, grid))
        return restrict(space.samples(self.tendency_modes(v, params, space)), grid)

    def sample_initial(
        self, grid: Grid, n_samples: int, generator: torch.Generator
    ) -> Float[Tensor, "batch channel *space"]:
        n_channels = len(self.channels)
        return self.initial.sample(grid, n_samples * n_channels, generator).unflatten(0, (n_samples, n_channels))

    def sample_params(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Parameters:
        columns = [distribution.sample(n_samples, generator) for distribution in self.distributions]
        none = torch.zeros(n_samples, 0, *grid.shape, dtype=torch.float64, device=generator.device)
        return Parameters(torch.stack(columns, dim=1) if columns else none.flatten(1), none)


class LinearPDE(SpectralPDE):
    """u_t = L u, L diagonal in Fourier coefficients."""

    @abstractmethod
    def symbol(self, params: Parameters, space: FourierSpace) -> Float[Tensor, "..."] | Complex[Tensor, "..."]:
        """L as a factor of each coefficient, in float64 or complex128, broadcast over "batch channel *mode"."""

    def tendency_modes(
        self, v: Complex[Tensor, "batch channel *mode"], params: Parameters, space: FourierSpace
    ) -> Complex[Tensor, "batch channel *mode"]:
        return self.symbol(params, space).to(v.dtype) * v


class DiffusivePDE(LinearPDE):
    """L = kappa Lap for one channel; the scalar `diffusivity` is kappa. Periodic, neumann or dirichlet."""

    scalars = (Quantity("diffusivity", minimum=0.0),)
    boundaries = (Boundary.PERIODIC, Boundary.NEUMANN, Boundary.DIRICHLET)

    def __init__(self, *, length: float, boundary: str, diffusivity: Distribution, initial: RandomField) -> None:
        super().__init__(length=length, initial=initial, distributions=(diffusivity,), boundary=boundary)

    def symbol(self, params: Parameters, space: FourierSpace) -> Float[Tensor, "batch channel *mode"]:
        kappa = factor(params, 0, space)
        return kappa * space.laplacian(device=kappa.device)


class SemilinearPDE(LinearPDE):
    """u_t = L u + N(u)."""

    @abstractmethod
    def nonlinear(
        self, v: Complex[Tensor, "batch channel *mode"], params: Parameters, space: FourierSpace
    ) -> Complex[Tensor, "batch channel *mode"]:
        """Coefficients of N(u), products taken at the samples of `space.grid`; v are those of u."""

    def transport_time(self, u0: Float[Tensor, "batch channel *space"], params: Parameters) -> Float[Tensor, " batch"]:
        """nu / c^2 from u0 on: L diffuses by nu, N carries u along at speeds up to c. inf where N carries nothing, and
        where no bound is known."""
        return torch.full((len(u0),), math.inf, dtype=torch.float64, device=u0.device)

    def tendency_modes(
        self, v: Complex[Tensor, "batch channel *mode"], params: Parameters, space: FourierSpace
    ) -> Complex[Tensor, "batch channel *mode"]:
        return super().tendency_modes(v, params, space) + self.nonlinear(v, params, space)


def factor(params: Parameters, index: int, space: FourierSpace) -> Float[Tensor, "batch 1 ..."]:
    """One scalar in float64, shaped to multiply symbols: "batch channel *mode"."""
    return params.scalars[:, index].double().reshape(-1, 1, *(1,) * space.grid.ndim)
