"""Distributions of scalar parameters, drawn in float64."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Distribution(Protocol):
    """A distribution over numbers."""

    def sample(self, n_samples: int, generator: torch.Generator) -> Float[Tensor, " batch"]: ...


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
