"""Residuals by Parseval: zero for solutions, the quadrature's value for all others, gradients everywhere."""

import json
import math
from types import SimpleNamespace

import pytest
import torch

from duhamel.datasets import FreshDataModule
from duhamel.fields import Trajectory
from duhamel.operators import FNO, NSM, Normaliser, Surrogate
from duhamel.operators.spectral_basis import Chebyshev, Expansion, Fourier
from duhamel.pdes import Burgers, FisherKPP, NavierStokes, Poisson, Uniform
from duhamel.solvers import reference_trajectory
from duhamel.training.spectral_residual import EvolutionResidual, PoissonResidual


class Solved(NSM):
    """A neural spectral method that happens to know the solution."""

    def __init__(self, problem, solution, **arguments):
        super().__init__(problem, width=2, n_layers=1, **arguments)
        self.known = solution

    def expansion(self, u, params):
        return self.known


def fitted(bases, function):
    mesh = torch.meshgrid(*(basis.nodes() for basis in bases), indexing="ij")
    return Expansion.fitted(function(*mesh)[None, None], bases, [None] * len(bases))


def test_the_exact_solution_of_the_periodic_poisson_problem_leaves_nothing(generator):
    pde = Poisson()
    grid = pde.grid((48, 48))
    params = pde.sample_params(grid, 2, generator)
    u0 = pde.sample_initial(grid, 2, generator)
    truth = reference_trajectory(pde, u0, params, grid, 0.0, 1)[:, 1]
    bases = (Fourier(47), Fourier(47))
    model = Solved(pde.problem(grid, 0.0), None, modes=47).double()
    model.known = Expansion.fitted(truth, bases, model.points(grid))
    residual = PoissonResidual().residual(model, u0, params)
    assert residual.coefficients.abs().max() < 1e-10
    wrong = Expansion(model.known.coefficients * 1.01, bases)
    model.known = wrong
    assert PoissonResidual().residual(model, u0, params).mean_square().max() > 1e-5


def test_dirichlet_poisson_in_a_chebyshev_basis(generator):
    """-Lap(sin(pi x) sin(pi y)) = 2 pi^2 sin(pi x) sin(pi y)."""
    pde = Poisson(boundary="dirichlet")
    grid = pde.grid((40, 40))
    x, y = grid.mesh()
    u = torch.sin(math.pi * x) * torch.sin(math.pi * y)
    params = type(pde.sample_params(grid, 1, generator))(
        torch.zeros(1, 0, dtype=torch.float64), (2 * math.pi**2 * u)[None, None]
    )
    bases = (Chebyshev(16), Chebyshev(16))
    solution = fitted(bases, lambda x, y: torch.sin(math.pi * x) * torch.sin(math.pi * y))
    model = Solved(pde.problem(grid, 0.0), solution, modes=16).double()
    residual = PoissonResidual().residual(model, u[None, None] * 0, params)
    assert residual.mean_square().max() < 1e-12


def test_a_decaying_vortex_leaves_nothing_of_navier_stokes(generator):
    """cos(2 pi x) cos(2 pi y) exp(-8 pi^2 nu t): its advection vanishes; half the decay does not solve the equation."""
    nu = 0.01
    pde = NavierStokes(forcing=0.0, viscosity=Uniform(nu, nu))
    grid = pde.grid((16, 16))
    u0, params = pde.sample_initial(grid, 1, generator), pde.sample_params(grid, 1, generator)
    bases = (Chebyshev(13), Fourier(5), Fourier(5))

    def vortex(rate):
        return fitted(
            bases,
            lambda t, x, y: torch.cos(2 * math.pi * x) * torch.cos(2 * math.pi * y) * torch.exp(-rate * t),
        )

    model = Solved(pde.problem(grid, 1.0), vortex(8 * math.pi**2 * nu), modes=5, time_modes=13).double()
    assert EvolutionResidual(pde).residual(model, u0, params).mean_square().max() < 1e-16
    model.known = vortex(4 * math.pi**2 * nu)
    assert EvolutionResidual(pde).residual(model, u0, params).mean_square().max() > 1e-4


def test_logistic_growth_leaves_nothing_and_its_norm_is_the_integral(generator):
    pde = FisherKPP(diffusivity=Uniform(0.01, 0.01), growth_rate=Uniform(1.0, 1.0))
    grid = pde.grid((16,))
    u0, params = torch.full((1, 1, 16), 0.2, dtype=torch.float64), pde.sample_params(grid, 1, generator)
    bases = (Chebyshev(17), Fourier(5))

    def logistic(t, x):
        return 0.2 * torch.exp(t) / (1 + 0.2 * (torch.exp(t) - 1)) + 0 * x

    model = Solved(pde.problem(grid, 1.0), fitted(bases, logistic), modes=5, time_modes=17).double()
    assert EvolutionResidual(pde).residual(model, u0, params).mean_square().max() < 1e-20
    # u = t x-wave: the residual is known, and so is its norm in the Chebyshev measure of time.
    model.known = fitted(bases, lambda t, x: t * torch.cos(2 * math.pi * x))
    theta = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    t, x = torch.meshgrid(
        (1 - torch.cos(math.pi * theta)) / 2, torch.arange(64, dtype=torch.float64) / 64, indexing="ij"
    )
    u = t * torch.cos(2 * math.pi * x)
    expected = torch.cos(2 * math.pi * x) + 0.01 * (2 * math.pi) ** 2 * u - u * (1 - u)
    found = EvolutionResidual(pde).residual(model, u0, params).mean_square()
    torch.testing.assert_close(found[0, 0], expected.square().mean())


def data(**options) -> FreshDataModule:
    module = FreshDataModule(
        Burgers(), shape=[32], dt=0.1, batch_size=3, n_validation=2, n_test=2, steps_per_epoch=2, substeps=32, **options
    )
    return module


def surrogate(problem, statistics) -> Surrogate:
    operator = NSM(problem, modes=9, time_modes=5, width=4, n_layers=1)
    return Surrogate(operator, Normaliser.fitted(problem, statistics, log=[]), trained_range={})


def test_gradients_reach_every_tensor_from_fresh_samples():
    fresh = data()
    batch = next(iter(fresh.train_dataloader()))
    model = surrogate(fresh.problem, fresh.statistics)
    loss = EvolutionResidual(Burgers())(model, batch)
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.abs().max() > 0) for p in model.operator.parameters())
    published = EvolutionResidual(Burgers(), weighted=False)(model, batch)
    assert published > loss


def test_of_order_minus_one_a_wave_counts_by_the_dual_norm():
    """R = cos(2 pi k x) has the norm 1 / sqrt(2 (1 + (2 pi k)^2)) there, scaled so that k = 1 counts as in L2."""
    model = surrogate(data().problem, data().statistics)

    class Wave(EvolutionResidual):
        def residual(self, operator, u, params):
            return fitted((Chebyshev(4), Fourier(9)), lambda t, x: 0 * t + torch.cos(2 * math.pi * k * x))

    batch = next(iter(data().train_dataloader()))
    for k in (1, 3):
        expected = 0.5 * (1 + (2 * math.pi) ** 2) / (1 + (2 * math.pi * k) ** 2)
        assert Wave(Burgers(), order=-1.0)(model, batch).item() == pytest.approx(expected, rel=1e-12)
        assert Wave(Burgers())(model, batch).item() == pytest.approx(0.5, rel=1e-12)


def test_fresh_batches_depend_on_seed_and_step_alone():
    def epochs(module: FreshDataModule, epoch: int) -> list[Trajectory]:
        loader = module.train_dataloader()
        loader.sampler.set_epoch(epoch)
        return list(loader)

    first, again, later = epochs(data(), 0), epochs(data(), 0), epochs(data(), 1)
    assert len(first) == 2 and first[0].n_steps == 0
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a.u, b.u) and torch.equal(a.params.scalars, b.params.scalars)
    drawn = [batch.u for batch in (*first, *later, *epochs(data(seed=1), 0))]
    assert all(not torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])


def test_poisson_solutions_lie_in_the_modes_that_the_study_takes():
    """The shares that docs/results.md gives: what 15 to 23 modes an axis leave out of the test solutions."""
    poisson = FreshDataModule(Poisson(), shape=[64, 64], dt=0.0, n_validation=1)
    poisson.setup()
    u = torch.cat([batch.u[:, -1, 0] for batch in poisson.test_dataloader()[0]]).double()
    k = torch.fft.fftfreq(64, 1 / 64).abs()
    for modes, expected in ((15, 0.0036), (17, 0.0015), (19, 0.00068), (23, 0.00012)):
        beyond = torch.maximum(k[:, None], k) > modes // 2
        lost = torch.fft.ifft2(torch.fft.fft2(u) * beyond).real
        share = (lost.flatten(1).norm(dim=1) / u.flatten(1).norm(dim=1)).mean().item()
        assert share == pytest.approx(expected, rel=0.05)


def test_several_processes_share_each_fresh_batch():
    def first(rank: int, n_processes: int) -> Trajectory:
        module = data()
        module.trainer = SimpleNamespace(global_rank=rank, world_size=n_processes)
        return next(iter(module.train_dataloader()))

    whole, parts = first(0, 1), [first(rank, 2) for rank in (0, 1)]
    assert [len(part.u) for part in parts] == [1, 2]
    assert torch.equal(torch.cat([part.u for part in parts]), whole.u)
    assert torch.equal(torch.cat([part.params.scalars for part in parts]), whole.params.scalars)
    with pytest.raises(ValueError, match="batch_size 3 is less than the 4 processes"):
        first(0, 4)


def test_fresh_samples_of_another_equation_are_other_data():
    """A checkpoint made on `split` of one is refused by the other."""
    thin = FreshDataModule(Burgers(viscosity=Uniform(low=0.01, high=0.01)), shape=[32], dt=0.1, batch_size=3)
    thick = FreshDataModule(Burgers(viscosity=Uniform(low=0.02, high=0.02)), shape=[32], dt=0.1, batch_size=3)
    assert json.loads(json.dumps(thin.split)) == thin.split != thick.split


def test_what_is_no_neural_spectral_method_in_its_own_units_is_refused():
    fresh = data()
    batch = next(iter(fresh.train_dataloader()))
    fno = Surrogate(FNO(fresh.problem, n_modes=4), Normaliser(fresh.problem), trained_range={})
    with pytest.raises(ValueError, match="needs an operator of coefficients"):
        EvolutionResidual(Burgers())(fno, batch)
    scaled = surrogate(fresh.problem, fresh.statistics)
    scaled.normaliser.channels.scale.mul_(2)
    with pytest.raises(ValueError, match="must not normalise"):
        EvolutionResidual(Burgers())(scaled, batch)
