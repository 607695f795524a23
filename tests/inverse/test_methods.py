"""Methods that mix surrogate and reference, on a linear problem of known posterior and a surrogate off by a factor."""

from dataclasses import replace

import pytest

from duhamel.inverse import GateFailed, InverseProblem, Posterior, Status
from duhamel.inverse.gaussian import Gaussian
from duhamel.inverse.methods import (
    automatic,
    delayed_acceptance_posterior,
    reference_posterior,
    two_level_posterior,
)
from tests.inverse.test_learned_posteriors import problem

pytestmark = pytest.mark.slow


def biased(factor: float) -> tuple[InverseProblem, Gaussian]:
    posed, exact = problem(6)
    return replace(posed, surrogate=lambda u, params: factor * u), exact


def assert_close(found: Posterior, exact: Gaussian, tolerance: float) -> None:
    """Means within `tolerance` posterior deviations, deviations within that share."""
    deviation = exact.covariance.diagonal().sqrt()
    assert ((found.mean() - exact.mean) / deviation).abs().max() < tolerance, found.report()
    assert (found.std() / deviation - 1).abs().max() < tolerance, found.report()


@pytest.mark.parametrize(
    ("factor", "status"),
    [(1.01, Status.REWEIGHTED), (1.5, Status.APPROXIMATE)],
    ids=["a small error is weighted away", "a large one is learned"],
)
def test_the_gap_of_misfits_chooses(factor, status, generator) -> None:
    posed, exact = biased(factor)
    found = automatic(posed, generator, n_reference=400)
    assert found.status is status and found.passed, found.report()
    assert 0 < found.spent.reference <= 400
    assert_close(found, exact, 0.25)


def test_with_a_middling_gap_and_budget_proposals_are_screened(generator) -> None:
    """The chain is exact; whether it is long enough for an interval is for its gate to say."""
    posed, _ = biased(1.4)
    found = automatic(posed, generator, n_reference=1000)
    assert found.method == "delayed acceptance" and found.status is Status.EXACT, found.report()
    assert 500 < found.spent.reference <= 1000
    if not found.passed:
        with pytest.raises(GateFailed, match="no interval"):
            found.interval()


@pytest.mark.parametrize("method", [delayed_acceptance_posterior, two_level_posterior])
def test_methods_within_a_budget_reach_the_posterior_of_the_reference(method, generator) -> None:
    posed, exact = biased(1.1)
    found = method(posed, generator, n_reference=1500)
    assert 750 < found.spent.reference <= 1500
    assert_close(found, exact, 0.25)


def test_a_budget_counts_from_the_call_not_from_the_first_solve_of_the_problem(generator) -> None:
    posed, exact = biased(1.1)
    posed.solves.charge(1500, reference=True)
    found = reference_posterior(posed, generator, n_reference=1200)
    assert 600 < found.spent.reference <= 1200
    assert_close(found, exact, 0.25)
