"""The linear Gaussian problem, whose posterior is known: y = A z + noise in 50 dimensions, 30 sensors."""

from dataclasses import dataclass

import scipy.stats
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
    """Means and covariances within three standard errors, all of them together.

    A score is Student's t with one degree of freedom less than there are chains. There are 50 means and 1275
    covariances, so chance alone puts some beyond 3; the largest may not lie beyond where it would with a probability of
    0.0027 (that of three standard errors), divided among them (Bonferroni, which holds for correlated scores). And they
    may not be large, or small, as a whole: the mean square is 1 within the same probability for independent means.
    """
    chance = 2 * scipy.stats.norm.sf(3.0)
    degrees = len(samples) - 1
    for errors in standardised_errors(samples, exact):
        bound = scipy.stats.t.isf(chance / 2 / len(errors), degrees)
        assert errors.abs().max() < bound, f"off by {errors.abs().max():.2f} standard errors, {bound:.2f} allowed"
    means, _ = standardised_errors(samples, exact)
    low, high = scipy.stats.chi2.ppf([chance / 2, 1 - chance / 2], len(means)) / len(means)
    # The variance of t is degrees / (degrees - 2).
    assert low < means.square().mean() * (degrees - 2) / degrees < high, f"mean square {means.square().mean():.2f}"
