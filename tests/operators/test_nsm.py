"""Spectral bases and the neural spectral method: exact derivatives, conditions and resolutions."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid, Parameters, Problem, Quantity
from duhamel.operators import NSM
from duhamel.operators.spectral_basis import Chebyshev, Expansion, Fourier
from tests.operators.problems import line

BASES = [Fourier(9), Fourier(8), Chebyshev(9)]
IDS = ["fourier_odd", "fourier_even", "chebyshev"]


def smooth(basis, x):
    """A function in the span of the basis, and its derivative."""
    if isinstance(basis, Fourier):
        k = 2 * math.pi
        return 0.3 + torch.sin(k * x) - torch.cos(3 * k * x), k * torch.cos(k * x) + 3 * k * torch.sin(3 * k * x)
    return 1 - x + 2 * x**5 - x**8, -1 + 10 * x**4 - 8 * x**7


def steady(boundary: Boundary, n: int = 24, dim: int = 2) -> Problem:
    grid = Grid(shape=(n,) * dim, extent=(1.0,) * dim, boundary=(boundary,) * dim, centring=Centring.CELL)
    return Problem(
        equation="poisson",
        channels=(Quantity("u"),),
        scalars=(),
        coefficients=(Quantity("source"),),
        grid=grid,
        dt=0.0,
    )


def source(problem: Problem, n: int | None = None) -> Parameters:
    grid = problem.grid if n is None else problem.grid.with_shape((n,) * problem.grid.ndim)
    mesh = grid.mesh()
    f = torch.cos(2 * math.pi * mesh[0]) * (1 + torch.sin(4 * math.pi * mesh[1]))
    return Parameters(torch.zeros(1, 0, dtype=torch.float64), f[None, None])


@pytest.mark.parametrize("basis", BASES, ids=IDS)
def test_transforms_and_derivatives_are_exact_on_the_span(basis):
    value, slope = smooth(basis, basis.nodes())
    expansion = Expansion.fitted(value[None], (basis,), [None])
    x = torch.linspace(0, 1, 37, dtype=torch.float64)
    torch.testing.assert_close(expansion.at([x])[0], smooth(basis, x)[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(expansion.differentiated(0).at([x])[0], smooth(basis, x)[1], rtol=0, atol=1e-10)
    fitted = Expansion.fitted(smooth(basis, x)[0][None], (basis,), [x])
    torch.testing.assert_close(fitted.coefficients, expansion.coefficients, rtol=0, atol=1e-10)


@pytest.mark.parametrize("basis", BASES, ids=IDS)
def test_parseval(basis):
    """In dx for Fourier, in the measure of the Chebyshev nodes for Chebyshev."""
    value, _ = smooth(basis, basis.nodes())
    expansion = Expansion.fitted(value[None], (basis,), [None])
    theta = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    x = theta if isinstance(basis, Fourier) else (1 - torch.cos(math.pi * theta)) / 2
    torch.testing.assert_close(expansion.mean_square()[0], smooth(basis, x)[0].square().mean())
    assert expansion.mean_square(weighted=False)[0] > expansion.mean_square()[0]


@pytest.mark.parametrize(
    ("count", "arguments", "steady_problem"),
    [
        (15_800_193, {"modes": 31, "width": 64, "n_layers": 4}, True),
        (33_609_601, {"modes": 64, "time_modes": 32, "width": 64, "n_layers": 4}, False),
    ],
    ids=["poisson", "reaction_diffusion"],
)
def test_published_layouts_have_the_published_number_of_parameters(count, arguments, steady_problem):
    grid = Grid(shape=(64,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    reaction = Problem(equation="", channels=(Quantity("u"),), scalars=(), coefficients=(), grid=grid, dt=1.0)
    with torch.device("meta"):
        model = NSM(steady(Boundary.PERIODIC, 64) if steady_problem else reaction, **arguments)
    assert sum(p.numel() for p in model.parameters()) == count


@pytest.mark.parametrize(
    ("count", "time_modes", "n_layers"), [(118_108_417, 12, 10), (88_581_217, 18, 5)], ids=["free", "forced"]
)
def test_published_layouts_of_navier_stokes(count, time_modes, n_layers):
    grid = Grid(shape=(64, 64), extent=(1.0, 1.0), boundary=(Boundary.PERIODIC,) * 2, centring=Centring.NODE)
    flow = Problem(equation="", channels=(Quantity("w"),), scalars=(), coefficients=(), grid=grid, dt=3.0)
    with torch.device("meta"):
        model = NSM(flow, modes=31, time_modes=time_modes, width=32, n_layers=n_layers)
    assert sum(p.numel() for p in model.parameters()) == count


def drawn(model: NSM, generator: torch.Generator) -> NSM:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return model.double()


def test_boundary_values_are_zero_whatever_the_weights(generator):
    problem = steady(Boundary.DIRICHLET)
    model = drawn(NSM(problem, modes=(9, 8), width=4, n_layers=2, scale=1.0), generator)
    ends, inside = torch.tensor([0.0, 1.0], dtype=torch.float64), torch.linspace(0, 1, 11, dtype=torch.float64)
    solution = model.expansion(torch.zeros(1, 1, 24, 24, dtype=torch.float64), source(problem))
    scale = solution.at([inside, inside]).abs().max()
    assert scale > 1e-3
    for points in ([ends, inside], [inside, ends]):
        assert solution.at(points).abs().max() < 1e-12 * scale


@pytest.mark.parametrize("pinned", [False, True])
def test_the_gauge_of_a_periodic_problem(pinned, generator):
    problem = steady(Boundary.PERIODIC)
    model = drawn(NSM(problem, modes=9, width=4, n_layers=2, scale=1.0, pinned=pinned), generator)
    solution = model.expansion(torch.zeros(1, 1, 24, 24, dtype=torch.float64), source(problem))
    origin = [torch.zeros(1, dtype=torch.float64)] * 2
    gauge = solution.at(origin) if pinned else solution.coefficients[..., :1, :1]
    assert gauge.abs().max() < 1e-12
    assert solution.at([None, None]).abs().max() > 1e-3


def test_the_initial_state_is_met_and_forward_is_the_last_time(generator):
    problem = line(32)
    model = drawn(NSM(problem, modes=9, time_modes=5, width=4, n_layers=2, scale=1.0), generator)
    x = problem.grid.coordinates()[0]
    u0 = (torch.sin(2 * math.pi * x) + 0.2 * torch.cos(8 * math.pi * x))[None, None]
    params = Parameters(torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 0, 32, dtype=torch.float64))
    solution = model.solution(u0, params, torch.tensor([0.0, 0.05, problem.dt], dtype=torch.float64))
    torch.testing.assert_close(solution[:, 0], u0, rtol=0, atol=1e-12)
    torch.testing.assert_close(solution[:, 2], u0 + model(u0, params), rtol=0, atol=1e-12)
    assert (solution[:, 1] - u0).abs().max() > 1e-3


def test_what_the_modes_do_not_hold_of_a_state_is_not_kept_for_ever(generator):
    """`forward` and the last time of `solution` are one, and hold no wave beyond the modes, whatever u0 holds."""
    problem = line(16)
    model = NSM(problem, modes=7, time_modes=4, width=4, n_layers=1, scale=1.0).double()
    u0 = torch.randn(2, 1, 16, generator=generator, dtype=torch.float64)
    params = Parameters(torch.ones(2, 1, dtype=torch.float64), torch.zeros(2, 0, 16, dtype=torch.float64))
    after = u0 + model(u0, params)
    last = torch.tensor([problem.dt], dtype=torch.float64)
    torch.testing.assert_close(after, model.solution(u0, params, last)[:, 0], rtol=1e-12, atol=1e-12)
    assert torch.fft.rfft(after)[..., 4:].abs().max() < 1e-12


def test_any_resolution_gives_the_same_function(generator):
    problem = steady(Boundary.PERIODIC)
    model = drawn(NSM(problem, modes=9, width=4, n_layers=2, scale=1.0), generator)
    outputs = {}
    for n in (24, 72):
        grid = problem.grid.with_shape((n, n))
        outputs[n] = model.on(grid)(torch.zeros(1, 1, n, n, dtype=torch.float64), source(problem, n))
    # Cells three times as fine: every third centre is a coarse one.
    torch.testing.assert_close(outputs[72][..., 1::3, 1::3], outputs[24], rtol=0, atol=1e-11)


def test_what_cannot_be_met_exactly_is_refused():
    with pytest.raises(ValueError, match="not neumann"):
        NSM(steady(Boundary.NEUMANN))
    for problem in (line(), steady(Boundary.DIRICHLET)):
        with pytest.raises(ValueError, match="pinned fixes the free constant"):
            NSM(problem, pinned=True)
    with pytest.raises(ValueError, match="at least 2 functions an axis, got 1"):
        NSM(line(), time_modes=1)
    with pytest.raises(ValueError, match="31 coefficients cannot be found from 24 samples"):
        problem = steady(Boundary.PERIODIC)
        NSM(problem, width=2, n_layers=1).double()(torch.zeros(1, 1, 24, 24, dtype=torch.float64), source(problem))
