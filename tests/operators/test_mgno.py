"""The multigrid neural operator: published layouts, linearity, symmetry, and what it is with a solver's weights."""

import pytest
import torch
from torch.nn import functional as F

from duhamel.fields import Boundary, Centring, Grid, Parameters, Problem, Quantity
from duhamel.operators import MgNO
from duhamel.operators.multigrid import Cycle, MultigridCycle
from tests.operators.problems import line, plane


def square(n: int, *, boundary: Boundary = Boundary.PERIODIC, dim: int = 2) -> Grid:
    return Grid(shape=(n,) * dim, extent=(1.0,) * dim, boundary=(boundary,) * dim, centring=Centring.NODE)


def problem(n: int, boundary: Boundary, *, steady: bool = True, n_coefficients: int = 1) -> Problem:
    coefficients = tuple(Quantity(f"a{i}") for i in range(n_coefficients))
    grid = square(n, boundary=boundary)
    return Problem(
        equation="",
        channels=(Quantity("u"),),
        scalars=(),
        coefficients=coefficients,
        grid=grid,
        dt=0.0 if steady else 1.0,
    )


SIX = {"pre": (1, 1, 1, 1, 1, 2)}
NAVIER_STOKES = {"width": 32, "n_layers": 5, "pre": (1, 1, 1, 2, 2), "bias": True, "n_normalised": 4, "skip": False}
FLOW = {"boundary": Boundary.PERIODIC, "steady": False, "n_coefficients": 0}
ROUGH = {"boundary": Boundary.DIRICHLET}
PUBLISHED = {
    "darcy_rough": (572_661, problem(64, **ROUGH), {"n_layers": 4, **SIX}),
    "darcy_smooth": (678_093, problem(211, **ROUGH), {"n_layers": 5, **SIX}),
    "pipe": (
        783_876,
        problem(64, n_coefficients=2, **ROUGH),
        {"n_layers": 5, **SIX, "post": (0, 0, 0, 0, 1, 0)},
    ),
    "navier_stokes": (2_885_194, problem(64, **FLOW), NAVIER_STOKES),
    "navier_stokes_4_levels": (
        2_625_248,
        problem(64, **FLOW),
        {**NAVIER_STOKES, "pre": (1, 1, 2, 2), "n_normalised": 3},
    ),
    "navier_stokes_6_layers": (3_492_842, problem(64, **FLOW), {**NAVIER_STOKES, "n_layers": 6}),
    "helmholtz": (
        5_351_806,
        problem(101, Boundary.NEUMANN),
        {
            "width": 20,
            "n_layers": 4,
            "pre": (1, 1, 1, 1, 2),
            "bias": True,
            "n_normalised": 1,
            "skip": False,
            "widening": True,
            "closing_cycle": True,
        },
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_layouts_have_the_published_number_of_parameters(name):
    count, of, arguments = PUBLISHED[name]
    model = MgNO(of, faithful=True, **arguments)
    assert sum(p.numel() for p in model.parameters()) == count
    u = torch.zeros(1, 1, *of.grid.shape)
    fields = torch.ones(1, len(of.coefficients), *of.grid.shape)
    with torch.no_grad():
        assert model(u, Parameters(torch.zeros(1, 0), fields)).shape == u.shape


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("boundary", [Boundary.PERIODIC, Boundary.DIRICHLET, Boundary.NEUMANN])
def test_the_cycle_is_linear(dim, boundary, generator):
    n = 13
    cycle = MultigridCycle(2, 3, grid=square(n, boundary=boundary, dim=dim), cycle=Cycle(pre=(1, 2, 1), post=(1, 0, 0)))
    cycle.double()
    a, b = torch.randn(2, 1, 2, *(n,) * dim, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(cycle(2 * a - 3 * b), 2 * cycle(a) - 3 * cycle(b), rtol=0, atol=1e-12)
    assert not cycle(torch.zeros_like(a)).any()


def test_normalisation_and_bias_make_it_nonlinear(generator):
    cycle = MultigridCycle(1, 2, grid=square(8), cycle=Cycle(pre=(1, 1), post=(0, 0), n_normalised=1)).double()
    a = torch.randn(1, 1, 8, 8, generator=generator, dtype=torch.float64)
    assert (cycle(2 * a) - 2 * cycle(a)).abs().max() > 0.1


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_commutes_with_shifts_by_the_coarsest_spacing(dim, generator):
    """Exactly, for the prolongation wraps too; as published it does not, and the error at the ends is large."""
    grid = square(32, dim=dim)
    flow = Problem(equation="", channels=(Quantity("u"),), scalars=(), coefficients=(), grid=grid, dt=1.0)
    u = torch.randn(1, 1, *grid.shape, generator=generator, dtype=torch.float64)
    params = Parameters.none(1, grid.shape, dtype=torch.float64)
    defects = {}
    for faithful in (False, True):
        model = MgNO(flow, width=4, n_layers=2, pre=(1, 1, 1, 1), faithful=faithful).double()
        shifted = model(u.roll(8, 2), params)
        defects[faithful] = ((shifted - model(u, params).roll(8, 2)).abs().max() / shifted.abs().max()).item()
    assert model.shift_period == 0
    assert defects[False] < 1e-12
    low, high = (0.1, 0.2) if dim == 2 else (0.05, 0.3)
    assert low < defects[True] < high, defects


def multigrid(f, stencils, level, *, omega, post):
    """A textbook correction cycle on a periodic grid, written without the layers that are tested."""
    stencil = stencils[level]

    def apply(u):
        return F.conv2d(F.pad(u, (1, 1, 1, 1), mode="circular"), stencil)

    weight = omega / stencil[0, 0, 1, 1]
    u = weight * f
    if level == len(stencils) - 1:
        return u + weight * (f - apply(u))
    full_weighting = torch.tensor([1.0, 2, 1], dtype=f.dtype) / 4
    kernel = full_weighting[:, None] * full_weighting
    residual = F.conv2d(F.pad(f - apply(u), (1, 1, 1, 1), mode="circular"), kernel[None, None], stride=2)
    coarse = multigrid(residual, stencils, level + 1, omega=omega, post=post)
    # Linear interpolation axis by axis: coarse samples keep their values, those between are means of neighbours.
    for axis in (2, 3):
        between = (coarse + coarse.roll(-1, axis)) / 2
        coarse = torch.stack([coarse, between], dim=axis + 1).flatten(axis, axis + 1)
    u = u + coarse
    for _ in range(post):
        u = u + weight * (f - apply(u))
    return u


def test_with_a_solvers_weights_it_is_geometric_multigrid_and_contracts_the_poisson_error(generator):
    n, n_levels, omega = 32, 4, 0.8
    stencils = []
    for level in range(n_levels):
        laplacian = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]], dtype=torch.float64)
        stencils.append((laplacian * (n / 2**level) ** 2)[None, None])
    cycle = Cycle(pre=(1, 1, 1, 2), post=(1, 1, 1, 0), restrict_residual=True)
    learned = MultigridCycle(1, 1, grid=square(n), cycle=cycle).double()
    line_weights = torch.tensor([1.0, 2, 1], dtype=torch.float64)
    interpolation = torch.tensor([0.5, 1, 0.5, 0], dtype=torch.float64)
    with torch.no_grad():
        for stencil, level in zip(stencils, learned.levels, strict=True):
            for smoothing in (*level.pre, *level.post):
                smoothing.smooth.convolution.weight.zero_()[..., 1, 1] = omega / stencil[0, 0, 1, 1]
                if smoothing.apply_operator is not None:
                    smoothing.apply_operator.convolution.weight.copy_(stencil)
            if level is not learned.levels[-1]:
                level.residual.convolution.weight.copy_(stencil)
                level.restrict_f.convolution.weight.copy_(line_weights[:, None] * line_weights / 16)
                level.restrict_u.convolution.weight.zero_()
                level.prolong.convolution.weight.copy_(interpolation[:, None] * interpolation)
        u = torch.randn(1, 1, n, n, generator=generator, dtype=torch.float64)
        u -= u.mean()
        f = F.conv2d(F.pad(u, (1, 1, 1, 1), mode="circular"), stencils[0])
        torch.testing.assert_close(learned(f), multigrid(f, stencils, 0, omega=omega, post=1), rtol=1e-12, atol=1e-12)
        solution, errors = torch.zeros_like(u), [u.norm().item()]
        for _ in range(6):
            residual = f - F.conv2d(F.pad(solution, (1, 1, 1, 1), mode="circular"), stencils[0])
            solution = solution + learned(residual)
            solution = solution - solution.mean()
            errors.append((u - solution).norm().item())
    rates = [b / a for a, b in zip(errors[:-1], errors[1:], strict=True)]
    assert max(rates) < 0.5, rates


@pytest.mark.parametrize("n", [85, 141])
def test_any_grid_size(n):
    model = MgNO(problem(n, Boundary.DIRICHLET), width=2, n_layers=1, pre=(1, 1, 1, 1, 1))
    u = torch.zeros(1, 1, n, n)
    assert model(u, Parameters(torch.zeros(1, 0), torch.ones_like(u))).shape == u.shape


def test_levels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"5 levels below a grid of \(12, 12\) points leave \(1, 1\)"):
        MgNO(plane(12), pre=(1, 1, 1, 1, 1))
    with pytest.raises(ValueError, match="count the smoothings of the same levels"):
        MgNO(line(), pre=(1, 1), post=(1,))
