"""Database, learned prior and spline flow on a linear problem, whose posterior is known."""

import math

import pytest
import torch

from duhamel.fields import GaussianField
from duhamel.inverse import Forward, Gaussian, IndependentNoise, InverseProblem, Known, Points, Prior, Status
from duhamel.inverse.database import database_posterior
from duhamel.inverse.flow_matching import trained_flow
from duhamel.inverse.learned_prior import learned_prior_cma
from duhamel.inverse.methods import ensemble_posterior, laplace_posterior, map_point, pcn_posterior
from duhamel.inverse.neural_posterior import neural_posterior
from duhamel.inverse.sensor_flow import SensorFlow
from duhamel.pdes import Heat

pytestmark = pytest.mark.slow

GRID = Heat(boundary="neumann").grid((24,))
FIELD = GaussianField(sigma=16.0, tau=3.0, alpha=2.0, n_modes=2)
PRIOR = Prior(Heat(boundary="neumann").problem(GRID, 0.1), {"temperature": FIELD, "diffusivity": Known(0.01)})
NOISE = 0.3


def still(u, params):
    """Time stands still: what is seen is the initial state, linear in z."""
    return u


def problem(n_sensors: int, seed: int = 0, level: float = NOISE) -> tuple[InverseProblem, Gaussian]:
    generator = torch.Generator().manual_seed(seed)
    sensors = Points(positions=torch.rand(n_sensors, 1, generator=generator, dtype=torch.float64))
    forward = Forward(prior=PRIOR, observation=sensors, step=still, grid=GRID)
    matrix = forward(torch.eye(3, dtype=torch.float64)).T
    noise = IndependentNoise(torch.full((n_sensors,), level, dtype=torch.float64))
    data = forward(PRIOR.sample(1, generator))[0] + noise.sample(1, generator)[0]
    white = matrix / level
    precision = torch.eye(3, dtype=torch.float64) + white.T @ white
    exact = Gaussian.from_precision(torch.linalg.solve(precision, white.T @ (data / level)), precision)
    posed = InverseProblem(prior=PRIOR, observation=sensors, noise=noise, data=data, grid=GRID, reference=still)
    return posed, exact


@pytest.mark.parametrize(
    ("method", "tolerance"),
    [
        (lambda p, g: database_posterior(p, g, n_entries=20000), 0.25),
        (lambda p, g: neural_posterior(p, g, n_simulations=4000, n_epochs=25, width=32, transforms=3), 0.35),
        (lambda p, g: ensemble_posterior(p, g, n_members=2000), 0.1),
        (lambda p, g: laplace_posterior(p, g, n_draws=4000), 0.1),
        (lambda p, g: pcn_posterior(p, g, n_draws=200, n_burn=20), 0.1),
    ],
    ids=["database", "spline flow", "ensemble Kalman", "Laplace", "pCN"],
)
def test_methods_that_give_a_distribution(method, tolerance, generator) -> None:
    """Means within `tolerance` posterior deviations, deviations within that share."""
    posed, exact = problem(6)
    found = method(posed, generator)
    deviation = exact.covariance.diagonal().sqrt()
    assert ((found.mean() - exact.mean) / deviation).abs().max() < tolerance, found.report()
    assert (found.std() / deviation - 1).abs().max() < tolerance
    assert found.status is (Status.EXACT if found.method == "pCN" else Status.APPROXIMATE)
    assert found.spent.reference > 0 == found.spent.surrogate


def test_a_database_that_is_too_sparse_is_refused(generator) -> None:
    posed, _ = problem(40)
    found = database_posterior(posed, generator, n_entries=50)
    assert not found.passed and "more entries" in found.report()


def test_points_by_gradients_and_by_evolution(generator) -> None:
    posed, exact = problem(6)
    assert (map_point(posed, generator).mode - exact.mean).abs().max() < 1e-4
    found = learned_prior_cma(posed, generator, n_simulations=400, n_generations=60)
    assert (found.mode - exact.mean).abs().max() < 0.05 and found.samples.shape == (1, 1, 3)


def test_one_flow_serves_any_number_of_sensors(generator) -> None:
    """Means within a third of a posterior deviation (rms over coordinates), deviations within a factor of 1.4."""
    example, _ = problem(6, level=2.0)
    flow = trained_flow(
        example,
        generator,
        n_sensors=(3, 10),
        n_simulations=6000,
        n_epochs=12,
        batch_size=64,
        width=32,
        n_layers=1,
        rate=3e-3,
    )
    assert flow.spent.reference == 6000
    for n in (3, 6, 10):
        posed, exact = problem(n, seed=n, level=2.0)
        found = flow.posterior(posed, generator)
        deviation = exact.covariance.diagonal().sqrt()
        assert ((found.mean() - exact.mean) / deviation).square().mean().sqrt() < 1 / 3, n
        assert (found.std() / deviation).log().abs().max() < math.log(1.4), n
        assert found.status is Status.APPROXIMATE and found.spent.reference == 0
    with pytest.raises(ValueError, match="trained for 3 to 10 sensors, got 17"):
        flow.posterior(problem(17, level=2.0)[0], generator)
    with pytest.raises(ValueError, match="one noise level, 2"):
        flow.posterior(problem(6)[0], generator)


def test_numbers_of_sensors_are_positive_and_in_order(generator) -> None:
    for wrong in ((0, 5), (7, 3)):
        with pytest.raises(ValueError, match="n_sensors"):
            trained_flow(problem(6)[0], generator, n_sensors=wrong)


def test_the_order_of_sensors_does_not_matter(generator) -> None:
    flow = SensorFlow(3, GRID, 1, width=16).double()
    positions, values = torch.rand(7, 1, dtype=torch.float64), torch.randn(2, 7, dtype=torch.float64)
    order = torch.randperm(7, generator=generator)
    torch.testing.assert_close(
        flow.context(flow.tokens(positions, values)), flow.context(flow.tokens(positions[order], values[:, order]))
    )
