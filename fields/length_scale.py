"""A Gaussian field that does not know its own correlation length: a hierarchical prior."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.gaussian_field import GaussianField
from duhamel.fields.grid import Grid


@dataclass(frozen=True, kw_only=True)
class LengthScaleField:
    """A hierarchical prior: `field` with its tau log-uniform in [low, high], total variance kept (non-centred).

    The first coefficient is that of tau, all others are those of `field`, whose own tau sets the variance only.
    """

    field: GaussianField
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ValueError(f"bounds of tau must satisfy 0 < low < high, got {self.low} and {self.high}")

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        size, device = self.n_coefficients(grid), generator.device
        draws = [torch.randn(size, generator=generator, dtype=torch.float64, device=device) for _ in range(n_samples)]
        return self.transport(torch.stack(draws), grid)

    def n_coefficients(self, grid: Grid) -> int:
        return 1 + self.field.n_coefficients(grid)

    def inverse_length(self, z: Float[Tensor, "batch coefficient"]) -> Float[Tensor, " batch"]:
        """tau of each sample."""
        return self.low * (self.high / self.low) ** torch.special.ndtr(z[:, 0])

    def transport(self, z: Float[Tensor, "batch coefficient"], grid: Grid) -> Float[Tensor, "batch *space"]:
        own = self.field.standard_deviations(grid).to(z)
        tau = self.inverse_length(z).reshape(-1, *(1,) * own.ndim)
        # sigma (k^2 + tau0^2)^(-alpha/2) gives k^2 back, so that modes left out (std 0) stay out.
        square = (own / self.field.sigma) ** (-2 / self.field.alpha) - self.field.tau**2
        std = torch.where(own > 0, (square + tau**2) ** (-self.field.alpha / 2), 0.0)
        norm = torch.linalg.vector_norm(std.flatten(1), dim=1).reshape(tau.shape)
        std = std * torch.linalg.vector_norm(own) / norm
        return self.field.transport(z[:, 1:], grid, standard_deviations=std)
