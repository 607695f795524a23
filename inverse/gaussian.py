"""N(m, L L^T) in whitened coordinates: Laplace's answer, and what preconditions every sampler."""

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Gaussian:
    """mean: one for all chains, or one each."""

    mean: Float[Tensor, "*chain dim"]
    factor: Float[Tensor, "dim dim"]

    @classmethod
    def standard(cls, dim: int) -> "Gaussian":
        """The prior."""
        return cls(torch.zeros(dim, dtype=torch.float64), torch.eye(dim, dtype=torch.float64))

    @classmethod
    def from_precision(cls, mean: Float[Tensor, "*chain dim"], precision: Float[Tensor, "dim dim"]) -> "Gaussian":
        """P = R R^T gives L = R^-T."""
        identity = torch.eye(len(precision), dtype=precision.dtype)
        lower = torch.linalg.cholesky(precision)
        return cls(mean, torch.linalg.solve_triangular(lower, identity, upper=False).T)

    @classmethod
    def fitted(cls, samples: Float[Tensor, "draw dim"], *, ridge: float = 0.0) -> "Gaussian":
        """Mean and covariance of samples; ridge: share of the identity, where samples are few."""
        covariance = torch.atleast_2d(torch.cov(samples.T))
        identity = torch.eye(samples.shape[1], dtype=samples.dtype)
        return cls(samples.mean(dim=0), torch.linalg.cholesky((1 - ridge) * covariance + ridge * identity))

    @property
    def covariance(self) -> Float[Tensor, "dim dim"]:
        return self.factor @ self.factor.T

    def colour(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """m + L x."""
        return self.mean + x @ self.factor.T

    def whiten(self, z: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """L^-1 (z - m)."""
        return (z - self.mean) @ self._inverse.T

    @functools.cached_property
    def _inverse(self) -> Float[Tensor, "dim dim"]:
        """Of the factor, once: a chain whitens at every step."""
        return torch.linalg.inv(self.factor)

    def sample(self, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch dim"]:
        return self.colour(torch.randn(n_samples, len(self.factor), generator=generator, dtype=torch.float64))
