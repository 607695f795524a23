"""Corrections of a wrong model: against the closed form of the right one, and by quadrature in one dimension."""

import pytest
import torch

from duhamel.inverse import (
    BudgetExceeded,
    GateFailed,
    IndependentNoise,
    Status,
    Target,
    adapted,
    delayed_acceptance,
    misfit_gap,
    pcn,
    prior_error,
    reweighted,
    two_level,
)
from duhamel.inverse.correction import gap_gate
from duhamel.inverse.diagnostics import calibration_p_values, calibration_ranks
from duhamel.inverse.gaussian import Gaussian
from duhamel.inverse.model_error import linear_error
from tests.inverse.linear_gaussian import DIM, LinearGaussian, assert_agrees

FINE = LinearGaussian.draw()
# A surrogate a third of whose misfit at its own posterior is its error.
NEAR, FAR = LinearGaussian.draw(bend=0.02), LinearGaussian.draw(bend=0.2)


def coarse(problem: LinearGaussian, data: torch.Tensor | None = None) -> Target:
    target = FINE.target(Status.UNCORRECTED, data)
    return Target(
        forward=lambda z: z @ problem.matrix.T,
        noise=target.noise,
        data=target.data,
        dim=DIM,
        status=Status.UNCORRECTED,
        solves=target.solves,
    )


def counted(target: Target) -> Target:
    """FINE's target, its solves counted where those of `target` are."""

    def forward(z: torch.Tensor) -> torch.Tensor:
        target.solves.charge(len(z), reference=True)
        return z @ FINE.matrix.T

    return Target(
        forward=forward,
        noise=target.noise,
        data=target.data,
        dim=DIM,
        status=Status.EXACT,
        solves=target.solves,
    )


def test_the_prior_averaged_error_is_the_mean_and_covariance_of_the_gap(generator) -> None:
    error = prior_error(coarse(FAR), FINE.target(), n_reference=8000, generator=generator)
    gap = FINE.matrix - FAR.matrix
    spread = (gap @ gap.T).diagonal().mean()
    torch.testing.assert_close(error.covariance / spread, gap @ gap.T / spread, atol=0.1, rtol=0)
    assert error.bias.abs().max() < 4 * (spread / 8000) ** 0.5 * 2
    assert error.residual == pytest.approx(float((spread / 0.25).sqrt()), rel=0.05)


def test_a_linear_gap_is_found_from_as_many_draws_as_it_has_slopes(generator) -> None:
    """And the residual that is left out says how far fewer draws are from it."""
    around = FINE.posterior()
    gap = FINE.matrix - FAR.matrix
    residuals = []
    for n in (20, 40, 120):
        z = around.sample(n, generator)
        error = linear_error(z, 0.1 + z @ gap.T, around=around, std=FINE.noise.std)
        residuals.append(error.residual)
    assert residuals[0] > residuals[1] > 10 * residuals[2]
    fresh = around.sample(200, generator)
    torch.testing.assert_close(error.predicted(fresh), 0.1 + fresh @ gap.T, atol=0.02, rtol=0)


def test_adapted_reaches_the_posterior_of_the_fine_model_within_its_budget(generator) -> None:
    surrogate = coarse(FAR)
    fine, exact = counted(surrogate), FINE.posterior()
    found = adapted(surrogate, fine, n_reference=200, generator=generator, n_draws=300)
    assert surrogate.solves.reference == found.spent.reference == 200
    assert found.status is Status.APPROXIMATE
    deviation = exact.covariance.diagonal().sqrt()
    shift = (found.mean() - exact.mean) / deviation
    before = (FAR_POSTERIOR.mean - exact.mean) / deviation
    assert shift.square().mean().sqrt() < 0.15 < 0.5 < before.square().mean().sqrt()
    ratio = found.covariance().diagonal().sqrt() / deviation
    assert 0.9 < ratio.mean() < 1.1


FAR_POSTERIOR = LinearGaussian(FAR.matrix, FINE.noise, FINE.data).posterior()
NEAR_POSTERIOR = LinearGaussian(NEAR.matrix, FINE.noise, FINE.data).posterior()


def test_a_budget_is_never_exceeded(generator) -> None:
    surrogate = coarse(NEAR)
    with surrogate.solves.at_most(50), pytest.raises(BudgetExceeded):
        adapted(surrogate, counted(surrogate), n_reference=200, generator=generator)
    assert surrogate.solves.reference <= 50
    with pytest.raises(ValueError, match="8 reference solves are too few for 4 rounds"):
        adapted(surrogate, counted(surrogate), n_reference=8, generator=generator)


def test_delayed_acceptance_samples_the_fine_posterior(generator) -> None:
    surrogate = coarse(NEAR)
    starts = NEAR_POSTERIOR.sample(64, generator)
    found = delayed_acceptance(
        surrogate,
        counted(surrogate),
        gaussian=NEAR_POSTERIOR,
        starts=starts,
        n_reference=64 * 401,
        n_burn=50,
        subchain=4,
        generator=generator,
    )
    assert found.status is Status.EXACT and found.passed, found.report()
    assert 0.2 < found.acceptance < 0.98
    assert surrogate.solves.reference == 64 * 401 == found.spent.reference
    assert_agrees(found.samples, FINE.posterior())


def test_delayed_acceptance_is_calibrated(generator) -> None:
    n, n_draws = 100, 31
    truths = torch.randn(n, DIM, generator=generator, dtype=torch.float64)
    data = truths @ FINE.matrix.T + FINE.noise.sample(n, generator)
    gaussian = Gaussian(LinearGaussian(NEAR.matrix, FINE.noise, data).posterior(data).mean, NEAR_POSTERIOR.factor)
    surrogate = coarse(NEAR, data)
    found = delayed_acceptance(
        surrogate,
        counted(surrogate),
        gaussian=gaussian,
        starts=gaussian.sample(n, generator),
        n_reference=n * (20 + 10 * n_draws + 1),
        n_burn=20,
        subchain=4,
        generator=generator,
    )
    quantities = torch.cat([torch.eye(DIM, 8), torch.ones(DIM, 1)], dim=1).double()
    ranks = calibration_ranks(truths @ quantities, found.samples[:, ::10] @ quantities)
    p = calibration_p_values(ranks, n_draws, generator)
    assert p.min() > 0.01 / len(p), p


def test_a_far_surrogate_is_refused_by_its_gates(generator) -> None:
    surrogate = coarse(FAR)
    chain = pcn(surrogate, gaussian=FAR_POSTERIOR, generator=generator, n_draws=100, n_burn=0, beta=1.0)
    found = reweighted(chain, surrogate, counted(surrogate), n_reference=200)
    assert [gate.name for gate in found.gates if not gate.passed] == ["Pareto k-hat"]
    gap = gap_gate(misfit_gap(surrogate, counted(surrogate), chain.thinned(50)))
    assert not gap.passed and "correct the surrogate" in str(gap)
    assert "no interval is given" in found.report()
    with pytest.raises(GateFailed, match=r"reweighted.*no interval, .*Pareto k-hat"):
        found.interval()


def bent(z: torch.Tensor, amount: float) -> torch.Tensor:
    return z + amount * torch.tanh(z)


def one_dimensional(amount: float, status: Status) -> Target:
    return Target(
        forward=lambda z: bent(z, amount),
        noise=IndependentNoise(torch.tensor([0.5], dtype=torch.float64)),
        data=torch.tensor([0.8], dtype=torch.float64),
        dim=1,
        status=status,
    )


@pytest.mark.parametrize(("n_steps", "refused"), [(30, ["Monte Carlo error / deviation"]), (400, [])])
def test_chains_of_delayed_acceptance_that_agree_may_still_be_too_short(n_steps, refused, generator) -> None:
    """Where models agree, each step is an independent draw of the posterior: two chains of 30 make 60."""
    cheap, fine = one_dimensional(0.0, Status.UNCORRECTED), one_dimensional(0.0, Status.EXACT)
    gaussian = Gaussian(torch.tensor([0.64]).double(), torch.tensor([[0.2**0.5]]).double())
    found = delayed_acceptance(
        cheap,
        fine,
        gaussian=gaussian,
        starts=gaussian.sample(2, generator),
        n_reference=2 * (n_steps + 1),
        generator=generator,
        subchain=1,
        beta=1.0,
    )
    assert found.acceptance == pytest.approx(1.0, abs=1e-12)
    assert [gate.name for gate in found.gates if not gate.passed] == refused, found.report()
    assert found.gates[1].value == pytest.approx((2 * n_steps) ** -0.5, rel=0.3)


def test_importance_weights_and_two_levels_against_quadrature(generator) -> None:
    """Mean and standard deviation of a nonlinear posterior, within four standard errors of ten repeats."""
    cheap, fine = one_dimensional(0.0, Status.UNCORRECTED), one_dimensional(0.4, Status.EXACT)
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)[:, None]
    density = torch.exp(-fine.potential(z))
    density = density / density.sum()
    mean = float(density @ z[:, 0])
    std = float((density @ (z[:, 0] - mean) ** 2).sqrt())
    gaussian = Gaussian(torch.tensor([0.64]).double(), torch.tensor([[0.2**0.5]]).double())
    means, deviations = {"two-level": [], "weights": [], "coarse": []}, {"two-level": [], "weights": [], "coarse": []}
    for _ in range(10):
        chain = pcn(cheap, gaussian=gaussian, generator=generator, n_draws=400, n_burn=0, beta=1.0)
        short = delayed_acceptance(
            cheap,
            fine,
            gaussian=gaussian,
            starts=chain.thinned(50),
            n_reference=50 * 41,
            n_burn=4,
            generator=generator,
            subchain=1,
        )
        two = two_level(chain, cheap, fine, short.draws, n_reference=2000)
        assert two.status is Status.REWEIGHTED
        assert float(two.draw_weights.sum()) == pytest.approx(1.0, abs=1e-12)
        weighted = reweighted(chain, cheap, fine, n_reference=2000)
        assert weighted.passed, weighted.report()
        for name, found in (("two-level", two), ("weights", weighted), ("coarse", chain)):
            means[name].append(float(found.mean()))
            deviations[name].append(float(found.std()))
    for name in ("two-level", "weights"):
        for values, exact in ((means[name], mean), (deviations[name], std)):
            sample = torch.tensor(values)
            assert abs(float(sample.mean()) - exact) < 4 * float(sample.std()) / 10**0.5, name
    uncorrected = torch.tensor(means["coarse"])
    assert abs(float(uncorrected.mean()) - mean) > 20 * float(uncorrected.std()) / 10**0.5
