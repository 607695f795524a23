"""Every method against the closed form, and the exact ones against simulation-based calibration."""

import pytest
import torch
from torch import Tensor

from duhamel.inverse import (
    GateFailed,
    Gaussian,
    IndependentNoise,
    Status,
    Target,
    ensemble_kalman,
    gauss_newton_map,
    laplace,
    lbfgs_map,
    pcn,
)
from duhamel.inverse.diagnostics import calibration_p_values, calibration_ranks, effective_sample_size
from duhamel.inverse.nuts import nuts
from tests.inverse.linear_gaussian import DIM, LinearGaussian, assert_agrees

PROBLEM = LinearGaussian.draw()
EXACT = PROBLEM.posterior()
# A preconditioner from a wrong model: with the right one every proposal is accepted and nothing is tested.
WRONG = LinearGaussian.draw(bend=0.03).posterior()


def test_map_by_both_optimisers() -> None:
    newton = gauss_newton_map(PROBLEM.target())
    quasi = lbfgs_map(PROBLEM.target(), tolerance=1e-9)
    assert newton.converged and quasi.converged
    torch.testing.assert_close(newton.mode, EXACT.mean, atol=1e-9, rtol=0)
    torch.testing.assert_close(quasi.mode, EXACT.mean, atol=1e-7, rtol=0)
    assert len(newton.history) == 2, "a linear model takes one Gauss-Newton step, and one look that it was right"
    with pytest.raises(ValueError, match="point estimate"):
        newton.interval()


def test_whitening_by_the_posterior_makes_lbfgs_immediate() -> None:
    target = PROBLEM.target()
    assert len(lbfgs_map(target, whitened_by=EXACT).history) <= 3 < len(lbfgs_map(target).history)


def test_multistart_finds_the_lower_of_two_valleys() -> None:
    noise = IndependentNoise(torch.tensor([0.1, 0.5], dtype=torch.float64))
    target = Target(
        forward=lambda z: torch.stack([z[:, 0] ** 2, z[:, 0]], dim=1),
        noise=noise,
        data=torch.tensor([1.0, 0.4], dtype=torch.float64),
        dim=1,
        status=Status.EXACT,
    )
    starts = torch.tensor([[-1.5], [1.5]], dtype=torch.float64)
    single, multi = lbfgs_map(target, starts=starts[:1]), lbfgs_map(target, starts=starts)
    assert float(single.mode) < 0 < float(multi.mode) and multi.potential < single.potential


def test_laplace_is_the_posterior_of_a_linear_model(generator) -> None:
    found = laplace(PROBLEM.target(), EXACT.mean, n_draws=6400, generator=generator)
    assert found.gaussian is not None and found.status is Status.APPROXIMATE
    torch.testing.assert_close(found.gaussian.covariance, EXACT.covariance, atol=1e-12, rtol=0)
    assert_agrees(found.samples.reshape(64, 100, DIM), EXACT)


def test_pcn(generator) -> None:
    found = pcn(PROBLEM.target(), gaussian=WRONG, generator=generator, n_draws=1500, n_burn=400)
    assert 0.15 < found.acceptance < 0.5
    assert found.status is Status.EXACT and found.passed, found.report()
    assert_agrees(found.samples, EXACT)
    assert effective_sample_size(found.samples).min() > 1000


def test_pcn_accepts_everything_with_the_right_gaussian(generator) -> None:
    found = pcn(PROBLEM.target(), gaussian=EXACT, generator=generator, n_draws=20, n_burn=0)
    assert found.acceptance == pytest.approx(1.0, abs=1e-12)


def test_chains_that_do_not_mix_fail_their_gate(generator) -> None:
    stuck = pcn(
        PROBLEM.target(), gaussian=Gaussian.standard(DIM), generator=generator, n_draws=30, n_burn=10, n_chains=8
    )
    assert not stuck.passed and "no interval" in stuck.report()
    with pytest.raises(GateFailed, match="R-hat"):
        stuck.interval()


def test_nuts(generator) -> None:
    """64 copies of the problem as one: a draw of their product is a draw of each."""
    n, n_draws = 64, 50
    copies = Blocks(WRONG.mean.repeat(n, 1), WRONG.factor)
    target = product(PROBLEM.data.repeat(n, 1))
    found = nuts(target, gaussian=copies, generator=generator, n_chains=1, n_draws=n_draws, n_burn=30)
    assert found.status is Status.EXACT
    assert_agrees(found.samples.reshape(n_draws, n, DIM).transpose(0, 1), EXACT)


def test_ensemble_kalman_in_the_limit_of_many_members(generator) -> None:
    runs = [ensemble_kalman(PROBLEM.target(), n_members=4000, generator=generator) for _ in range(24)]
    assert runs[0].status is Status.APPROXIMATE
    assert_agrees(torch.cat([run.samples for run in runs]), EXACT)


class Blocks(Gaussian):
    """Independent blocks with means of their own and one covariance, in a single row."""

    def colour(self, x: Tensor) -> Tensor:
        return super().colour(x.unflatten(-1, (-1, DIM))).flatten(-2)


def product(data: Tensor) -> Target:
    """The posteriors of all rows of data as one, in len(data) DIM dimensions."""
    n = len(data)
    return Target(
        forward=lambda z: (z.unflatten(1, (n, DIM)) @ PROBLEM.matrix.T).flatten(1),
        noise=IndependentNoise(PROBLEM.noise.std.repeat(n)),
        data=data.flatten(),
        dim=n * DIM,
        status=Status.EXACT,
    )


@pytest.mark.parametrize("sampler", ["pcn", "nuts"])
def test_simulation_based_calibration(sampler, generator) -> None:
    """100 replicates at once: a product of posteriors is one posterior, whose chains are those of its factors."""
    n, n_draws = 100, 31
    truths = torch.randn(n, DIM, generator=generator, dtype=torch.float64)
    data = truths @ PROBLEM.matrix.T + PROBLEM.noise.sample(n, generator)
    wrong = Gaussian(LinearGaussian.draw(bend=0.03).posterior(data).mean, WRONG.factor)
    if sampler == "pcn":
        found = pcn(
            PROBLEM.target(data=data), gaussian=wrong, generator=generator, n_chains=n, n_draws=n_draws, thin=30
        )
        draws = found.samples
    else:
        joint = Blocks(wrong.mean, wrong.factor)
        draws = nuts(product(data), gaussian=joint, generator=generator, n_chains=1, n_draws=n_draws, n_burn=30).samples
        draws = draws.reshape(n_draws, n, DIM).transpose(0, 1)
    quantities = torch.cat([torch.eye(DIM, 8), torch.ones(DIM, 1), PROBLEM.matrix[:2].T.float()], dim=1).double()
    ranks = calibration_ranks(truths @ quantities, draws @ quantities)
    p = calibration_p_values(ranks, n_draws, generator)
    assert p.min() > 0.01 / len(p), p
