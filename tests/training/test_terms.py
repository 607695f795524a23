"""Losses beyond targets, and their balance."""

import pytest
import torch

from duhamel.fields import Parameters, Trajectory
from duhamel.operators import CAPE, MgNO, Normaliser, Operator, Surrogate
from duhamel.pdes import Burgers, Poisson
from duhamel.solvers import reference_solver, reference_trajectory
from duhamel.training.balance import FixedWeights, ReLoBRaLo
from duhamel.training.terms import IntermediateLoss, ParameterGradient, PhysicsResidual
from tests.operators.problems import line, line_statistics


class Reference(Operator):
    """A reference solver in the place of an operator."""

    def __init__(self, problem, pde=None, substeps=1):
        super().__init__(problem)
        self.pde, self.substeps = pde, substeps

    def forward(self, u, params):
        solver = reference_solver(self.pde, self.problem.grid, self.problem.dt, substeps=self.substeps)
        solution = solver(u, params)
        return solution if self.problem.steady else solution - u


def reference(pde, grid, dt, substeps=1) -> Surrogate:
    problem = pde.problem(grid, dt)
    return Surrogate(Reference(problem, pde=pde, substeps=substeps), Normaliser(problem), trained_range={})


def test_the_residual_of_a_reference_falls_with_the_square_of_dt(generator):
    pde = Burgers()
    grid = pde.grid((128,))
    u0, params = pde.sample_initial(grid, 2, generator) / 4, pde.sample_params(grid, 2, generator)
    losses = []
    for dt in (0.004, 0.002):
        batch = Trajectory(u0[:, None], params, grid, dt)
        losses.append(PhysicsResidual(n_steps=3)(reference(pde, grid, dt, substeps=8), batch).item())
    assert losses[1] < losses[0] / 12, losses  # a mean square: of order 4
    still = Surrogate(Still(pde.problem(grid, 0.01)), Normaliser(pde.problem(grid, 0.01)), trained_range={})
    assert PhysicsResidual(n_steps=3)(still, batch) > 1e3 * losses[1]


class Still(Operator):
    def forward(self, u, params):
        return 1e-3 * u


def test_the_residual_on_a_finer_grid_and_of_a_stationary_problem(generator):
    pde = Poisson()
    grid = pde.grid((32, 32))
    params = pde.sample_params(grid, 2, generator)
    u = reference_trajectory(pde, pde.sample_initial(grid, 2, generator), params, grid, 0.0, 1)
    batch = Trajectory(u, params, grid, 0.0)
    assert PhysicsResidual(refine=2)(reference(pde, grid, 0.0), batch) < 1e-20
    nothing = Surrogate(Still(pde.problem(grid, 0.0)), Normaliser(pde.problem(grid, 0.0)), trained_range={})
    torch.testing.assert_close(PhysicsResidual()(nothing, batch), torch.tensor(1.0, dtype=torch.float64))


def test_a_residual_needs_an_equation_and_time():
    problem = line()
    surrogate = Surrogate(Still(problem), Normaliser(problem), trained_range={})
    batch = Trajectory(torch.zeros(1, 3, 1, 32), Parameters(torch.ones(1, 1), torch.zeros(1, 0, 32)), problem.grid, 0.1)
    with pytest.raises(ValueError, match="n_steps must be at least 2"):
        PhysicsResidual(n_steps=1)(surrogate, batch)
    surrogate.problem = type(problem)(**{**vars(problem), "equation": "unknown"})
    with pytest.raises(ValueError, match="the data name the equation 'unknown'"):
        PhysicsResidual()(surrogate, batch)


def test_the_intermediate_loss_trains_cape_alone(generator):
    statistics = line_statistics()
    operator = MgNO(line(), width=4, pre=(1, 1), n_layers=1, conditioning=CAPE(width=4, n_modes=4))
    surrogate = Surrogate(operator, Normaliser.fitted(line(), statistics), trained_range={})
    u = torch.randn(2, 4, 1, 32, generator=generator)
    batch = Trajectory(u, Parameters(torch.full((2, 1), 0.01), torch.zeros(2, 0, 32)), line().grid, 0.1)
    IntermediateLoss()(surrogate, batch).backward()
    reached = {name for name, p in operator.named_parameters() if p.grad is not None}
    assert reached == {n for n, _ in operator.named_parameters() if n.startswith("conditioning.")}
    # An estimate that is the next state costs nothing: the state itself, where nothing moves and CAPE is silent.
    with torch.no_grad():
        operator.conditioning.norm.gain.zero_()
        operator.conditioning.norm.shift.zero_()
    still = Trajectory(u[:, :1].expand(-1, 4, -1, -1), batch.params, batch.grid, 0.1)
    assert IntermediateLoss()(surrogate, still) < 1e-6
    plain = Surrogate(MgNO(line(), width=4, pre=(1, 1)), Normaliser(line()), trained_range={})
    with pytest.raises(ValueError, match="MgNO has no CAPE"):
        IntermediateLoss()(plain, batch)


def test_the_penalty_on_slopes_is_that_of_finite_differences(generator):
    operator = MgNO(line(), width=4, pre=(1, 1), n_layers=1, conditioning=CAPE(width=4, n_modes=4)).double()
    surrogate = Surrogate(operator, Normaliser(line()).double(), trained_range={})
    u = torch.randn(3, 2, 1, 32, generator=generator, dtype=torch.float64)
    p = torch.tensor([[0.1], [0.5], [0.9]], dtype=torch.float64)
    batch = Trajectory(u, Parameters(p, u.new_zeros(3, 0, 32)), line().grid, 0.1)
    between, h = (p + p.roll(1, 0)) / 2, 1e-5

    def at(shift):
        return operator.conditioning.estimate(u[:, 0], Parameters(between + shift, batch.params.fields))

    slope = ((at(h) - at(-h)) / (2 * h)).square().flatten(1).mean(1).sqrt()
    loss = ParameterGradient(slope=0.3)(surrogate, batch)
    torch.testing.assert_close(loss, (slope - 0.3).square().mean(), rtol=1e-6, atol=0)
    loss.backward()
    assert all(p.grad.abs().max() > 0 for p in operator.conditioning.attentions.parameters())
    with pytest.raises(ValueError, match="MgNO has no CAPE"):
        ParameterGradient()(Surrogate(MgNO(line(), pre=(1, 1)), Normaliser(line()), trained_range={}), batch)


def test_fixed_weights(generator):
    losses = {"data": torch.tensor(2.0), "physics": torch.tensor(3.0)}
    assert FixedWeights({"physics": 0.1})(losses, generator).item() == pytest.approx(2.3)
    with pytest.raises(ValueError, match=r"weights for \['cape'\], the losses are \['data', 'physics'\]"):
        FixedWeights({"cape": 1.0})(losses, generator)
    # As in a warm-up, where the loss on data is left out.
    assert FixedWeights({"data": 5.0})({"physics": torch.tensor(3.0)}, generator).item() == 3.0


def test_relobralo_follows_the_formula_and_favours_what_lags(generator):
    """Without randomness and memory: weights are the softmax of the ratios to the step before."""
    balance = ReLoBRaLo(2, alpha=0.0, lookback=1.0)
    balance({"a": torch.tensor(1.0), "b": torch.tensor(10.0)}, generator)
    torch.testing.assert_close(balance.weights, torch.ones(2))
    total = balance({"a": torch.tensor(0.5), "b": torch.tensor(10.0)}, generator)
    expected = 2 * torch.softmax(torch.tensor([0.5, 1.0]), 0)
    torch.testing.assert_close(balance.weights, expected)
    torch.testing.assert_close(total, expected[0] * 0.5 + expected[1] * 10.0)
    assert balance.weights[1] > balance.weights[0]


def test_relobralo_goes_on_from_its_state():
    def steps(balance, start, stop):
        for step in range(start, stop):
            generator = torch.Generator().manual_seed(step)
            losses = torch.tensor([1.0 / (1 + step), 2.0 / (1 + step) ** 2])
            out = balance(dict(zip("ab", losses, strict=True)), generator)
        return out

    whole, first = ReLoBRaLo(2, alpha=0.9, lookback=0.5), ReLoBRaLo(2, alpha=0.9, lookback=0.5)
    expected = steps(whole, 0, 8)
    steps(first, 0, 4)
    resumed = ReLoBRaLo(2, alpha=0.9, lookback=0.5)
    resumed.load_state_dict(first.state_dict())
    assert torch.equal(steps(resumed, 4, 8), expected)
    with pytest.raises(ValueError, match="built for 3 terms"):
        ReLoBRaLo(3)({"a": torch.tensor(1.0)}, torch.Generator())
