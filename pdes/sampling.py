"""Distributions of scalar parameters, drawn in float64."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Distribution(Protocol):
    """A distribution over numbers."""

    def sample(self, n_samples: int, generator: torch.Generator) -> Float[Tensor, " batch"]: ...


@runtime_checkable
class TransportedDistribution(Distribution, Protocol):
    """A distribution that is an explicit, increasing function of one standard normal: a prior, whitened."""

    def transport(self, z: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]: ...


@dataclass(frozen=True)
class Uniform:
    """Uniform in [low, high]; one value where they are equal."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"low must not exceed high, got {self.low} and {self.high}")

    def sample(self, n_samples: int, generator: torch.Generator) -> Float[Tensor, " batch"]:
        unit = torch.rand(n_samples, generator=generator, dtype=torch.float64, device=generator.device)
        return self.low + (self.high - self.low) * unit

    def transport(self, z: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        return self.low + (self.high - self.low) * torch.special.ndtr(z)


@dataclass(frozen=True)
class LogUniform:
    """The logarithm is uniform; 0 < low <= high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high:
            raise ValueError(f"bounds must satisfy 0 < low <= high, got {self.low} and {self.high}")

    def sample(self, n_samples: int, generator: torch.Generator) -> Float[Tensor, " batch"]:
        return Uniform(math.log(self.low), math.log(self.high)).sample(n_samples, generator).exp()

    def transport(self, z: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        return Uniform(math.log(self.low), math.log(self.high)).transport(z).exp()


@dataclass(frozen=True)
class LogNormal:
    """The logarithm is N(log median, sigma^2)."""

    median: float
    sigma: float

    def __post_init__(self) -> None:
        if not (self.median > 0 and self.sigma > 0):
            raise ValueError(f"median and sigma must be positive, got {self.median} and {self.sigma}")

    def sample(self, n_samples: int, generator: torch.Generator) -> Float[Tensor, " batch"]:
        z = torch.randn(n_samples, generator=generator, dtype=torch.float64, device=generator.device)
        return self.transport(z)

    def transport(self, z: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        return self.median * torch.exp(self.sigma * z)


@dataclass(frozen=True)
class Choice:
    """One of some values, each as likely as the others, times a factor common to all."""

    values: Sequence[float]
    factor: float = 1.0

    def __post_init__(self) -> None:
        if len(self.values) == 0:
            raise ValueError("a choice needs at least one value")
        object.__setattr__(self, "values", tuple(float(value) for value in self.values))

    def sample(self, n_samples: int, generator: torch.Generator) -> Float[Tensor, " batch"]:
        chosen = torch.randint(len(self.values), (n_samples,), generator=generator, device=generator.device)
        return self.factor * torch.tensor(self.values, dtype=torch.float64, device=generator.device)[chosen]
