"""The linear Gaussian problem, whose posterior is known: y = A z + noise in 50 dimensions, 30 sensors."""

from dataclasses import dataclass

import torch
from torch import Tensor

from duhamel.inverse import Gaussian, IndependentNoise, Status, Target

DIM, SENSORS = 50, 30


@dataclass(frozen=True)
class LinearGaussian:
    matrix: Tensor
    noise: IndependentNoise
    data: Tensor

    @classmethod
    def draw(cls, seed: int = 0, *, bend: float = 0.0) -> "LinearGaussian":
        """Singular values that decay: some directions are known well, others not at all. bend: of another model."""
        generator = torch.Generator().manual_seed(seed)
        a, b = (torch.randn(n, n, generator=generator, dtype=torch.float64) for n in (SENSORS, DIM))
        u, v = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
        matrix = u @ torch.diag(4 * 0.85 ** torch.arange(SENSORS, dtype=torch.float64)) @ v[:SENSORS]
        noise = IndependentNoise(torch.full((SENSORS,), 0.5, dtype=torch.float64))
        truth = torch.randn(DIM, generator=generator, dtype=torch.float64)
        data = matrix @ truth + noise.sample(1, generator)[0]
        other = torch.randn(SENSORS, DIM, generator=generator, dtype=torch.float64)
        return cls(matrix + bend * other, noise, data)

    def target(self, status: Status = Status.EXACT, data: Tensor | None = None) -> Target:
        return Target(
            forward=lambda z: z @ self.matrix.T,
            noise=self.noise,
            data=self.data if data is None else data,
            dim=DIM,
            status=status,
        )

    def posterior(self, data: Tensor | None = None) -> Gaussian:
        """C = (I + A^T Gamma^-1 A)^-1, m = C A^T Gamma^-1 y; a mean for each row of data."""
        white = self.matrix / self.noise.std[:, None]
        precision = torch.eye(DIM, dtype=torch.float64) + white.T @ white
        y = (self.data if data is None else data) / self.noise.std
        return Gaussian.from_precision((y @ white) @ torch.linalg.inv(precision), precision)


def standardised_errors(samples: Tensor, exact: Gaussian) -> tuple[Tensor, Tensor]:
    """(estimate - truth) / standard error, of mean and covariance entries; errors from the spread of chain averages."""
    centred = samples - exact.mean
    moments = torch.einsum("cdi,cdj->cij", centred, centred) / samples.shape[1] - exact.covariance

    def score(chains: Tensor) -> Tensor:
        return chains.mean(dim=0) / (chains.std(dim=0) / len(chains) ** 0.5)

    upper = torch.triu_indices(DIM, DIM)
    return score(centred.mean(dim=1)), score(moments[:, upper[0], upper[1]])


def assert_agrees(samples: Tensor, exact: Gaussian) -> None:
    """Within three standard errors, but for one mean of 50 and 1 % of 1275 covariances: chance puts 0.4 % outside."""
    for errors, share in zip(standardised_errors(samples, exact), (0.02, 0.01), strict=True):
        size = errors.abs()
        assert (size > 3).double().mean() <= share and size.max() < 5, f"off by {size.max():.2f} standard errors"
        # Errors far below their standard errors would be as wrong: the samples would not be what they claim.
        assert 0.7 < errors.square().mean().sqrt() < 1.35
