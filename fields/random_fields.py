"""Random functions, not random arrays: what they are, and functions of them."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.boundary import Boundary
from duhamel.fields.grid import Grid


@runtime_checkable
class RandomField(Protocol):
    """A distribution over scalar fields. Sample i does not depend on how many are drawn."""

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        """Fields in float64, on the generator's device."""
        ...


@runtime_checkable
class TransportedField(RandomField, Protocol):
    """A random field that is an explicit function of independent standard normal coefficients: a prior, whitened."""

    def n_coefficients(self, grid: Grid) -> int:
        """How many standard normals one field takes; the same at every resolution of a domain."""
        ...

    def transport(self, z: Float[Tensor, "batch coefficient"], grid: Grid) -> Float[Tensor, "batch *space"]:
        """The fields of coefficients z, differentiable in z; z ~ N(0, I) gives the law of `sample`."""
        ...


@dataclass(frozen=True, kw_only=True)
class FunctionOfField(ABC):
    """A pointwise function of another field; transported where that is."""

    field: RandomField

    @abstractmethod
    def of(self, u: Float[Tensor, "batch *space"], grid: Grid) -> Float[Tensor, "batch *space"]:
        """The function's values where the other field's are u."""

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        return self.of(self.field.sample(grid, n_samples, generator), grid)

    def n_coefficients(self, grid: Grid) -> int:
        return transported(self.field).n_coefficients(grid)

    def transport(self, z: Float[Tensor, "batch coefficient"], grid: Grid) -> Float[Tensor, "batch *space"]:
        return self.of(transported(self.field).transport(z, grid), grid)


@dataclass(frozen=True, kw_only=True)
class ThresholdedField(FunctionOfField):
    """Two materials: `above` where the field is >= 0, `below` elsewhere.

    width: of the transition, in units of the field: below + (above - below) / (1 + exp(-field / width)), which has a
        gradient; 0 is the jump.
    """

    above: float
    below: float
    width: float = 0.0

    def of(self, u: Float[Tensor, "batch *space"], grid: Grid) -> Float[Tensor, "batch *space"]:
        if self.width == 0:
            return torch.full_like(u, self.below).masked_fill(u >= 0, self.above)
        return self.below + (self.above - self.below) * torch.sigmoid(u / self.width)


@dataclass(frozen=True, kw_only=True)
class LogNormalField(FunctionOfField):
    """median * exp(field)."""

    median: float = 1.0

    def of(self, u: Float[Tensor, "batch *space"], grid: Grid) -> Float[Tensor, "batch *space"]:
        return self.median * torch.exp(u)


@dataclass(frozen=True, kw_only=True)
class LogisticField(FunctionOfField):
    """1 / (1 + exp(-field)): values between 0 and 1, densities and fractions."""

    def of(self, u: Float[Tensor, "batch *space"], grid: Grid) -> Float[Tensor, "batch *space"]:
        return torch.sigmoid(u)


@dataclass(frozen=True, kw_only=True)
class VanishingField(FunctionOfField):
    """field * prod sin(pi x / L) over the Dirichlet axes: zero on their ends, odd where the field is even."""

    def of(self, u: Float[Tensor, "batch *space"], grid: Grid) -> Float[Tensor, "batch *space"]:
        for axis, (x, left, side) in enumerate(zip(grid.coordinates(), grid.origin, grid.extent, strict=True)):
            if grid.boundary[axis] is Boundary.DIRICHLET:
                wave = torch.sin(math.pi / side * (x - left)).to(u)
                u = u * wave.reshape(-1, *(1,) * (grid.ndim - 1 - axis))
        return u


@dataclass(frozen=True, kw_only=True)
class SaturatedField(FunctionOfField):
    """mean + amplitude tanh(field)."""

    mean: float
    amplitude: float

    def of(self, u: Float[Tensor, "batch *space"], grid: Grid) -> Float[Tensor, "batch *space"]:
        return self.mean + self.amplitude * torch.tanh(u)


@dataclass(frozen=True)
class ConstantField:
    """The same value everywhere; draws nothing."""

    value: float

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        return torch.full((n_samples, *grid.shape), self.value, dtype=torch.float64, device=generator.device)


def transported(field: RandomField) -> TransportedField:
    """The same field; ValueError unless it is a function of standard normals, as a prior must be."""
    if not isinstance(field, TransportedField):
        raise ValueError(f"{type(field).__name__} cannot be a prior: it has no transport from standard normals")
    return field
