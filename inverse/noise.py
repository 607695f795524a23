"""Gaussian noise of the data, and the error of the model added to it."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Noise(Protocol):
    """N(0, Gamma)."""

    def whiten(self, r: Float[Tensor, "*batch sensor"]) -> Float[Tensor, "*batch sensor"]:
        """Gamma^(-1/2) r: standard normal for a residual that is noise alone."""
        ...

    def sample(self, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch sensor"]: ...

    @property
    def std(self) -> Float[Tensor, " sensor"]: ...

    def plus(self, covariance: Float[Tensor, "sensor sensor"]) -> "CorrelatedNoise":
        """N(0, Gamma + covariance)."""
        ...


class IndependentNoise:
    """Gamma = diag(std^2): absolute noise."""

    def __init__(self, std: Float[Tensor, " sensor"]) -> None:
        if not bool((std > 0).all()):
            raise ValueError(f"standard deviations must be positive, the smallest is {float(std.min())}")
        self._std = std.double()

    @classmethod
    def relative(
        cls, data: Float[Tensor, " sensor"], fraction: float, *, floor: float | None = None
    ) -> "IndependentNoise":
        """std = fraction * max(|y|, floor), a number each; floor: in the data's unit, their RMS where not given."""
        lowest = float(data.square().mean().sqrt()) if floor is None else floor
        return cls(fraction * data.abs().clamp_min(lowest))

    @property
    def std(self) -> Float[Tensor, " sensor"]:
        return self._std

    def whiten(self, r: Float[Tensor, "*batch sensor"]) -> Float[Tensor, "*batch sensor"]:
        return r / self._std

    def sample(self, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch sensor"]:
        return self._std * torch.randn(n_samples, len(self._std), generator=generator, dtype=torch.float64)

    def plus(self, covariance: Float[Tensor, "sensor sensor"]) -> "CorrelatedNoise":
        return CorrelatedNoise(torch.diag(self._std**2) + covariance)


class CorrelatedNoise:
    """A full covariance Gamma; ValueError where it is not positive definite."""

    def __init__(self, covariance: Float[Tensor, "sensor sensor"]) -> None:
        self.covariance = covariance.double()
        factor, failed = torch.linalg.cholesky_ex(self.covariance)
        if bool(failed):
            raise ValueError(f"the covariance of {len(covariance)} sensors is not positive definite")
        self._factor = factor
        # One small inverse, so that whitening in a chain is a product.
        identity = torch.eye(len(factor), dtype=torch.float64)
        self._inverse = torch.linalg.solve_triangular(factor, identity, upper=False)

    @property
    def std(self) -> Float[Tensor, " sensor"]:
        return self.covariance.diagonal().sqrt()

    def whiten(self, r: Float[Tensor, "*batch sensor"]) -> Float[Tensor, "*batch sensor"]:
        return r @ self._inverse.T

    def sample(self, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch sensor"]:
        white = torch.randn(n_samples, len(self._factor), generator=generator, dtype=torch.float64)
        return white @ self._factor.T

    def plus(self, covariance: Float[Tensor, "sensor sensor"]) -> "CorrelatedNoise":
        return CorrelatedNoise(self.covariance + covariance)
