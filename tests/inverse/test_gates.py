"""Results that must not pass: stuck chains, cut tables, models that overflow, weights that would be lost."""

import inspect
import math
from dataclasses import replace

import pytest
import torch

from duhamel.benchmark.posterior_table import means
from duhamel.fields import Boundary
from duhamel.inverse import (
    CorrelatedNoise,
    GateFailed,
    Gaussian,
    IndependentNoise,
    InverseProblem,
    Known,
    Points,
    Posterior,
    Prior,
    Status,
    Target,
    gauss_newton_map,
    laplace,
    laplace_gaussian,
    lbfgs_map,
    pcn,
    preconditioner,
    reweighted,
)
from duhamel.inverse import methods as single_calls
from duhamel.inverse.__main__ import summary
from duhamel.inverse.database import database_posterior
from duhamel.inverse.diagnostics import chain_gates
from duhamel.inverse.flow_matching import FlowMatching
from duhamel.inverse.learned_prior import learned_prior_cma
from duhamel.inverse.methods import reference_posterior, two_level_posterior
from duhamel.inverse.posterior import Gate, Spent
from duhamel.inverse.sensor_flow import SensorFlow
from duhamel.pdes import Advection, Choice, Heat, Uniform
from tests.inverse.test_learned_posteriors import problem, still


def target(forward, status: Status = Status.EXACT) -> Target:
    """y = z in two dimensions, unless the model says otherwise."""
    one = torch.ones(2, dtype=torch.float64)
    return Target(forward=forward, noise=IndependentNoise(one), data=one, dim=2, status=status)


def holes(z: torch.Tensor) -> torch.Tensor:
    """Overflows where the first coordinate is below -1."""
    return z + torch.where(z[:, :1] < -1, math.nan, 0.0)


def test_weights_do_not_pass_a_chain_that_sampled_one_of_two_modes(generator) -> None:
    """y = z^2: three chains stay at 3, one at -3; weights are near one, and the modes' share is still a guess."""

    def squared(shift: float, status: Status) -> Target:
        noise, data = IndependentNoise(torch.tensor([0.3])), torch.tensor([9.0], dtype=torch.float64)
        return Target(forward=lambda z: z**2 + shift, noise=noise, data=data, dim=1, status=status)

    coarse, fine = squared(0.0, Status.UNCORRECTED), squared(0.01, Status.EXACT)
    starts = torch.tensor([[3.0], [3.0], [3.0], [-3.0]], dtype=torch.float64)
    chain = pcn(
        coarse, gaussian=Gaussian.standard(1), generator=generator, n_draws=100, n_burn=20, beta=0.02, starts=starts
    )
    found = reweighted(chain, coarse, fine, n_reference=100)
    assert [gate.name for gate in found.gates] == ["R-hat", "Pareto k-hat"]
    assert [gate.passed for gate in found.gates] == [False, True]
    with pytest.raises(GateFailed, match="R-hat"):
        found.interval()


def test_one_chain_that_never_moved_among_many_fails_the_gate(generator) -> None:
    samples = torch.randn(64, 200, 3, generator=generator, dtype=torch.float64)
    assert chain_gates(samples)[0].passed
    samples[5] = samples[5, :1]
    (gate,) = chain_gates(samples)
    assert not gate.passed and "1 of 64 chains never moved" in str(gate)


def test_chains_that_start_where_the_model_overflows_leave(generator) -> None:
    starts = torch.full((8, 2), -1.1, dtype=torch.float64)
    standard = Gaussian.standard(2)
    found = pcn(target(holes), gaussian=standard, generator=generator, starts=starts, n_burn=20, n_draws=20)
    assert (found.samples[..., 0] >= -1).all()


def test_optimisers_end_where_the_model_overflows() -> None:
    bad = torch.tensor([-2.0, 0.0], dtype=torch.float64)
    for found in (gauss_newton_map(target(holes), start=bad), lbfgs_map(target(holes), starts=bad[None])):
        assert not found.converged and found.potential == math.inf
    with pytest.raises(ValueError, match="not finite at any of 1 starts"):
        preconditioner(target(holes), starts=bad[None])
    both = preconditioner(target(holes), starts=torch.stack([bad, 0 * bad]))
    torch.testing.assert_close(both.mean, torch.full((2,), 0.5, dtype=torch.float64))


def edge(z: torch.Tensor) -> torch.Tensor:
    """10 z, and not a number from 0.5 on."""
    return 10 * z + torch.where(z.abs() < 0.5, 0.0, math.nan)


def steep(data: float) -> Target:
    noise = IndependentNoise(torch.tensor([0.1], dtype=torch.float64))
    one = torch.tensor([data], dtype=torch.float64)
    return Target(forward=edge, noise=noise, data=one, dim=1, status=Status.EXACT)


def test_a_line_search_backs_from_where_the_model_overflows(generator) -> None:
    """The first step from 0 goes to 1; the mode is 0.4 of the right kind: (1e4 + 1) z = 4e3."""
    found = lbfgs_map(steep(4.0))
    assert found.converged and float(found.mode) == pytest.approx(4e3 / (1e4 + 1), abs=1e-9)
    assert laplace(steep(4.0), found.mode, generator=generator).passed


def test_a_search_that_ends_at_an_edge_has_no_mode_and_no_laplace_approximation(generator) -> None:
    """The mode of the whole line, 0.8, lies where there is no model."""
    found = lbfgs_map(steep(8.0))
    assert not found.converged and 0.45 < float(found.mode) < 0.5
    for away, passes in ((0.0, True), (0.05, True), (0.2, False)):
        mode = torch.tensor([(4e3 + away * 10001**0.5) / 10001], dtype=torch.float64)
        near = laplace(steep(4.0), mode, generator=generator)
        assert near.gates[0].value == pytest.approx(away, abs=1e-9) and near.passed is passes
    with pytest.raises(GateFailed, match="distance from the mode"):
        laplace(steep(8.0), found.mode, generator=generator).interval()


def test_a_start_that_overflows_does_not_spoil_the_others() -> None:
    starts = torch.tensor([[0.0], [0.7]], dtype=torch.float64)
    assert lbfgs_map(steep(4.0), starts=starts).converged
    assert lbfgs_map(steep(4.0), starts=starts.flip(0)).converged


def test_a_model_that_overflows_to_infinity_has_no_mode_and_no_preconditioner() -> None:
    """exp(1000) is infinite, which the largest finite number is not: N(0, 0) would be the answer."""
    beyond = target(lambda z: (1000 * (z + 1)).exp())
    found = gauss_newton_map(beyond)
    assert found.potential == math.inf and not found.converged
    with pytest.raises(ValueError, match="not finite at any of 1 starts"):
        preconditioner(beyond)
    with pytest.raises(ValueError, match="Jacobian is not finite"):
        laplace_gaussian(beyond, torch.zeros(2, dtype=torch.float64))


def test_a_database_of_solves_that_overflow_is_refused(generator) -> None:
    """Of entries some of which are infinite these have no weight; where all are, there is no answer."""
    posed, _ = problem(6)
    broken = replace(posed, reference=lambda u, params: u + math.inf)
    with pytest.raises(ValueError, match="not finite for any of 20 prior draws"):
        database_posterior(broken, generator, n_entries=20)
    holed = replace(posed, reference=lambda u, params: torch.where(u.mean(dim=-1, keepdim=True) > 0, u, math.inf))
    found = database_posterior(holed, generator, n_entries=20, n_kept=20)
    states = posed.prior(found.draws, posed.grid)[0]
    lost = states[:, 0].mean(dim=-1) <= 0
    assert 0 < int(lost.sum()) < 20 and bool((found.draw_weights[lost] == 0).all())
    assert float(found.draw_weights.sum()) == pytest.approx(1.0, abs=1e-12)


def test_a_search_that_begins_where_the_model_overflows_goes_on(generator, monkeypatch) -> None:
    """The network's guess is put where nothing is finite; draws around it are not all there."""
    guess = torch.tensor([-1.1, 0.0], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    monkeypatch.setattr("duhamel.inverse.learned_prior.learned_gaussian", lambda *_, **__: guess)
    monkeypatch.setattr("duhamel.inverse.learned_prior.cheapest", lambda posed: target(holes))
    found = learned_prior_cma(problem(4)[0], generator, n_generations=20)
    torch.testing.assert_close(found.mode, torch.full((2,), 0.5, dtype=torch.float64), atol=0.05, rtol=0)


def test_a_table_that_is_cut_where_weights_are_still_large_is_refused(generator) -> None:
    """Noise ten times the signal: the posterior is nearly the prior, a twentieth of whose draws are kept."""
    posed, exact = problem(6, level=30.0)
    cut = database_posterior(posed, generator, n_entries=2000, n_kept=100)
    assert [gate.name for gate in cut.gates if not gate.passed] == ["weight left out"]
    assert cut.gates[1].value == pytest.approx(0.95, abs=0.02)
    whole = database_posterior(posed, generator, n_entries=2000, n_kept=2000)
    assert whole.passed and whole.gates[1].value == pytest.approx(0.0, abs=1e-12)
    torch.testing.assert_close(whole.std(), exact.covariance.diagonal().sqrt(), rtol=0.1, atol=0)


def weighted(fine: Status) -> Posterior:
    coarse, draws = target(lambda z: z), torch.randn(1, 300, 2, dtype=torch.float64)
    chain = Posterior(method="chain", status=Status.UNCORRECTED, samples=draws, spent=Spent())
    return reweighted(chain, coarse, target(lambda z: 1.01 * z, fine), n_reference=200)


def test_weighted_draws_are_not_thinned_and_claim_no_more_than_the_finer_model() -> None:
    assert weighted(Status.EXACT).status is Status.REWEIGHTED
    found = weighted(Status.UNCORRECTED)
    assert found.status is Status.UNCORRECTED
    with pytest.raises(ValueError, match="chain, reweighted: weighted draws"):
        found.thinned(10)


def test_two_levels_pass_only_where_the_finer_chain_does(generator, monkeypatch) -> None:
    posed, exact = problem(6)
    posed = replace(posed, surrogate=lambda u, params: 1.01 * u)
    drawn = Posterior(
        method="drawn",
        status=Status.APPROXIMATE,
        samples=exact.sample(80, generator).unsqueeze(0),
        spent=Spent(),
        gaussian=exact,
        target=posed.by_surrogate,
    )
    monkeypatch.setattr(single_calls, "adapted_posterior", lambda *_, **__: drawn)
    for made, passes in ((Gate("made to pass", 0.0, 1.0), True), (Gate("made to fail", 2.0, 1.0), False)):
        monkeypatch.setattr(single_calls, "delayed_acceptance", lambda *_, made=made, **__: drawn.with_gates(made))
        assert two_level_posterior(posed, generator, n_reference=200).passed is passes


def test_a_reference_chain_says_what_preconditions_it(generator) -> None:
    posed, _ = problem(6)
    assert reference_posterior(posed, generator, n_reference=600, n_chains=8).method.endswith("by itself")


def test_draws_that_are_not_finite_give_no_interval() -> None:
    samples = torch.zeros(1, 10, 2, dtype=torch.float64)
    samples[0, 3, 1] = math.nan
    found = Posterior(method="flow", status=Status.APPROXIMATE, samples=samples, spent=Spent())
    with pytest.raises(GateFailed, match=r"not finite 0.1 .* the model overflows"):
        found.interval()
    assert len(replace(found, method="again").gates) == 1
    assert replace(found, samples=torch.zeros_like(samples), gates=()).passed


def test_a_distribution_without_a_transport_is_no_prior_of_a_number() -> None:
    pose = inspect.unwrap(Prior.__init__)  # without the checker of annotations, as users have it
    with pytest.raises(
        ValueError, match="diffusivity needs a distribution that is transported from normals, got Choice"
    ):
        pose(object.__new__(Prior), Heat().problem(Heat().grid((8,)), 0.1), {"diffusivity": Choice([0.1, 0.2])})


def test_a_flow_refuses_another_domain_and_another_number_of_coefficients() -> None:
    posed, _ = problem(6)
    grid, flow = posed.grid, SensorFlow(3, posed.grid, 1, width=8, n_layers=1)
    trained = FlowMatching(flow, posed, (1, 10), 0.3, Status.APPROXIMATE)
    generator = torch.Generator().manual_seed(0)
    assert trained.posterior(posed, generator, n_draws=3).samples.shape == (1, 3, 3)
    wide = replace(posed, grid=replace(grid, extent=(2.0,)))
    with pytest.raises(ValueError, match=r"3 coefficients on \(1.0,\) .* got 3 on \(2.0,\)"):
        trained.posterior(wide, generator)
    open_box = replace(posed, grid=replace(grid, boundary=(Boundary.DIRICHLET,)))
    with pytest.raises(ValueError, match=r"\(neumann\), got 3 .*\(dirichlet\)"):
        trained.posterior(open_box, generator)
    other = FlowMatching(SensorFlow(4, grid, 1, width=8), posed, (1, 10), 0.3, Status.APPROXIMATE)
    with pytest.raises(ValueError, match="trained for 4 coefficients"):
        other.posterior(posed, generator)


def advected(low: float = 0.1, *, n_steps: int = 3, dt: float = 0.05, step: int = -1) -> InverseProblem:
    """Of a wave nothing is known but its initial state: the speed is U(low, 1)."""
    pde = Advection()
    grid = pde.grid((16,))
    parts = {"speed": Uniform(low=low, high=1.0), "concentration": Known(1.0)}
    return InverseProblem(
        prior=Prior(pde.problem(grid, dt), parts),
        observation=Points(positions=[[0.1], [0.5]], steps=(step,)),
        noise=IndependentNoise(torch.full((2,), 0.1, dtype=torch.float64)),
        data=torch.zeros(2, dtype=torch.float64),
        grid=grid,
        n_steps=n_steps,
        reference=still,
    )


def test_a_flow_refuses_another_prior_time_step_number_of_steps_and_correlated_noise(generator) -> None:
    posed = advected()
    flow = SensorFlow(posed.prior.dim, posed.grid, 1, width=8, n_layers=1)
    trained = FlowMatching(flow, posed, (1, 3), 0.1, Status.APPROXIMATE)
    for same in (posed, advected(), advected(step=3), advected(n_steps=11, step=3)):
        assert trained.posterior(same, generator, n_draws=3).samples.shape == (1, 3, posed.prior.dim)
    for other, why in (
        (advected(0.5), r"prior .*low=0.1.* got .*low=0.5"),
        (advected(dt=0.1), "steps by dt = 0.05, the prior asks for dt = 0.1"),
        (advected(n_steps=11), r"at steps \[3\] .* at \[11\]"),
        (advected(step=2), r"at steps \[3\] .* at \[2\]"),
        (replace(posed, noise=CorrelatedNoise(0.01 * (0.5 + 0.5 * torch.eye(2).double()))), "correlated"),
    ):
        with pytest.raises(ValueError, match=why):
            trained.posterior(other, generator)


def test_a_count_that_one_seed_did_not_reach_has_no_finite_mean() -> None:
    rows = [{"method": "MAP", "evaluations": 3}, {"method": "MAP", "evaluations": None}]
    assert means(rows)[0]["evaluations"] == math.inf
    assert means(rows[:1])[0]["evaluations"] == 3


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (single_calls.map_point, {"n_starts": 2}),
        (single_calls.laplace_posterior, {"n_draws": 10}),
        (single_calls.pcn_posterior, {"n_chains": 2, "n_draws": 4, "n_burn": 2}),
        (single_calls.nuts_posterior, {"n_chains": 1, "n_draws": 4, "n_burn": 2}),
        (single_calls.ensemble_posterior, {"n_members": 20}),
        (single_calls.adapted_posterior, {"n_reference": 30, "n_chains": 2, "n_draws": 4, "n_burn": 2}),
        (single_calls.reference_posterior, {"n_reference": 300, "n_chains": 4}),
        (database_posterior, {"n_entries": 20}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_call_reports_every_solve_that_it_asked_for(method, options, generator) -> None:
    """Those of preconditioners and of searches for a mode too: what the problem's own counts grew by."""
    posed, _ = problem(6)
    posed = replace(posed, surrogate=posed.reference)
    posed.solves.charge(7, reference=False)
    posed.solves.charge(11, reference=True)
    spent = method(posed, generator, **options).spent
    assert (spent.surrogate + 7, spent.reference + 11) == (posed.solves.surrogate, posed.solves.reference)


def test_effective_draws_are_counted_of_chains_alone(generator) -> None:
    """A method that gives draws for nothing has no price for one."""
    posed, _ = problem(6)
    truth = posed.prior.sample(1, generator)
    chain = single_calls.pcn_posterior(posed, generator, n_chains=4, n_draws=20, n_burn=2)
    row = summary("pcn", chain, posed, truth)
    assert 0 < row["ess"] < 200 and row["reference_solves_per_ess"] == chain.spent.reference / row["ess"]
    flow = FlowMatching(SensorFlow(3, posed.grid, 1, width=8, n_layers=1), posed, (1, 10), 0.3, Status.APPROXIMATE)
    for found in (
        single_calls.ensemble_posterior(posed, generator, n_members=20),
        single_calls.laplace_posterior(posed, generator, n_draws=20),
        flow.posterior(posed, generator, n_draws=20),
        database_posterior(posed, generator, n_entries=20),
        single_calls.map_point(posed, generator),
    ):
        row = summary(found.method, found, posed, truth)
        assert row["ess"] is None and row["reference_solves_per_ess"] is None, found.method


def test_a_choice_of_method_must_leave_a_budget(generator) -> None:
    posed, _ = problem(6)
    with pytest.raises(ValueError, match="n_reference 60 must be at least twice n_gate 50"):
        single_calls.automatic(replace(posed, surrogate=posed.reference), generator, n_reference=60)
