"""What an equation is, not how it is solved."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Centring, Grid, Parameters, Problem, Quantity


class PDE(ABC):
    """A family of problems: names and units, its default domain, its residual, and where its samples come from.

    channels, scalars, coefficients: what states and `Parameters` hold, in this order.
    """

    name: ClassVar[str]
    channels: tuple[Quantity, ...]
    scalars: tuple[Quantity, ...] = ()
    coefficients: tuple[Quantity, ...] = ()
    # Whether space is a continuum: a lattice of oscillators has no finer grid.
    continuous: ClassVar[bool] = True
    # Whether solutions have the derivatives that a pointwise residual takes; shocks and misfits of initial and boundary
    # values have none.
    smooth: ClassVar[bool] = True

    def problem(self, grid: Grid, dt: float) -> Problem:
        return Problem(
            equation=self.name,
            channels=self.channels,
            scalars=self.scalars,
            coefficients=self.coefficients,
            grid=grid,
            dt=dt,
        )

    def require_params(self, params: Parameters) -> None:
        """ValueError where a scalar lies outside of the bounds that the physics sets."""
        for quantity, values in zip(self.scalars, params.scalars.detach().unbind(1), strict=True):
            if not bool(((values >= quantity.minimum) & (values <= quantity.maximum)).all()):
                raise ValueError(
                    f"{self.name}: {quantity.name} must lie in [{quantity.minimum:g}, {quantity.maximum:g}], got "
                    f"values from {float(values.min()):g} to {float(values.max()):g}"
                )

    @property
    def lyapunov_exponent(self) -> float | None:
        """Rate at which neighbouring solutions part, in inverse units of time; None where none is stated."""
        return None

    @abstractmethod
    def grid(self, shape: tuple[int, ...]) -> Grid:
        """The default domain, sampled by `shape` points."""

    @abstractmethod
    def residual(
        self, u: Float[Tensor, "batch time channel *space"], params: Parameters, grid: Grid, dt: float
    ) -> Float[Tensor, "batch frame channel *space"]:
        """What the trajectory leaves of the equation; zero, up to the stated order, for a solution."""

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Functionals that the exact evolution keeps, one value for each leading axis (sample, or sample and time).

        u ends in the axes "channel *space".
        """
        return {}

    def dissipated(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        """Functionals that the exact evolution never lets grow; axes as in `invariants`."""
        return {}

    @abstractmethod
    def sample_initial(
        self, grid: Grid, n_samples: int, generator: torch.Generator
    ) -> Float[Tensor, "batch channel *space"]:
        """Initial states in float64."""

    @abstractmethod
    def sample_params(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Parameters:
        """Parameters in float64."""


class StationaryPDE(PDE):
    """An equation without time: trajectories are (guess, solution), dt is 0, the guess is zeros."""

    def sample_initial(
        self, grid: Grid, n_samples: int, generator: torch.Generator
    ) -> Float[Tensor, "batch channel *space"]:
        """The guess. Draws nothing."""
        return torch.zeros(n_samples, len(self.channels), *grid.shape, dtype=torch.float64, device=generator.device)

    def solutions(
        self, u: Float[Tensor, "batch time channel *space"], dt: float
    ) -> Float[Tensor, "batch frame channel *space"]:
        """The states after the guess; ValueError where there is none or dt is not 0."""
        if dt != 0 or u.shape[1] < 2:
            raise ValueError(
                f"a stationary trajectory is (guess, solution) with dt = 0, got {u.shape[1]} states, {dt=}"
            )
        return u[:, 1:]


class EvolutionPDE(PDE):
    """u_t = F(u; mu)."""

    @abstractmethod
    def tendency(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]:
        """F(u; mu)."""

    def residual(
        self, u: Float[Tensor, "batch time channel *space"], params: Parameters, grid: Grid, dt: float
    ) -> Float[Tensor, "batch frame channel *space"]:
        """u_t - F(u; mu) at the interior frames 1, ..., n_times - 2; u_t by central differences, of order 2 in dt."""
        batch, n_times = u.shape[:2]
        if n_times < 3 or dt <= 0:
            raise ValueError(f"a residual needs at least 3 states and dt > 0, got {n_times} states and dt = {dt}")
        u_t = (u[:, 2:] - u[:, :-2]) / (2 * dt)
        inner = u[:, 1:-1].flatten(0, 1)
        tendency = self.tendency(inner, params.repeat_interleave(n_times - 2), grid)
        return u_t - tendency.unflatten(0, (batch, n_times - 2))


def per_sample(values: Float[Tensor, " batch"], u: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
    """One number a sample, shaped to broadcast over states."""
    return values.reshape(-1, *(1,) * (u.ndim - 1))


def integral(u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
    """Sum over the trailing space axes times the cell volume; spectrally accurate on periodic grids.

    Samples at the ends of a node-centred axis stand for half a cell: the trapezoidal rule.
    """
    volume = 1.0
    for axis, h in enumerate(grid.spacing):
        volume *= h
        if grid.centring is Centring.NODE and not grid.periodic[axis]:
            share = torch.ones(grid.shape[axis], dtype=u.dtype, device=u.device)
            share[0] = share[-1] = 0.5
            u = u * share.reshape(-1, *(1,) * (grid.ndim - 1 - axis))
    return volume * u.sum(dim=tuple(range(-grid.ndim, 0)))
