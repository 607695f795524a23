"""Priors, observations, noise and the map between whitened coordinates and sensors."""

import math
from dataclasses import replace

import pytest
import torch

from duhamel.fields import (
    Boundary,
    Centring,
    DirichletField,
    GaussianField,
    Grid,
    LengthScaleField,
    LogNormalField,
    Problem,
    Quantity,
    ThresholdedField,
)
from duhamel.inverse import (
    BudgetExceeded,
    Bump,
    CorrelatedNoise,
    FullField,
    IndependentNoise,
    InverseProblem,
    Known,
    PatchMeans,
    Points,
    Prior,
    Status,
)
from duhamel.operators import FNO, Normaliser, Surrogate
from duhamel.pdes import Burgers, Darcy, FisherKPP, Heat, LogNormal, LogUniform, Uniform
from duhamel.solvers import reference_solver

SQUARE = Darcy().grid((24, 20))
CIRCLE = Burgers().grid((64,))
SMOOTH = GaussianField(sigma=20.0, tau=3.0, alpha=2.0, n_modes=5)


@pytest.mark.parametrize(
    ("field", "grid"),
    [
        (SMOOTH, SQUARE),
        (SMOOTH, CIRCLE),
        (GaussianField(sigma=20.0, tau=3.0, alpha=2.0, n_modes=5, zero_mean=True), CIRCLE),
        (DirichletField(sigma=20.0, tau=3.0, alpha=2.0, n_modes=5), SQUARE),
        (LengthScaleField(field=SMOOTH, low=1.0, high=9.0), SQUARE),
    ],
    ids=["cosine", "fourier", "zero mean", "sine", "length scale"],
)
def test_a_transport_pushes_normals_to_the_law_of_sample(field, grid, generator) -> None:
    """Covariances of neighbouring points by both ways, within five standard errors of 20000 draws each."""
    n = 20000
    z = torch.randn(n, field.n_coefficients(grid), generator=generator, dtype=torch.float64)
    places = [0, 3, grid.shape[0] * grid.shape[-1] // 2 if grid.ndim > 1 else 31]
    both = [u.flatten(1)[:, places] for u in (field.transport(z, grid), field.sample(grid, n, generator))]
    products = [torch.einsum("bi,bj->bij", u, u).flatten(1) for u in both]
    scale = products[0].std(dim=0) * math.sqrt(2 / n) + 1e-12
    assert ((products[0].mean(dim=0) - products[1].mean(dim=0)).abs() < 5 * scale).all()


def test_the_sine_expansion_vanishes_at_the_ends_and_the_cosine_one_is_flat(generator) -> None:
    fine = Darcy().grid((2000,))
    z = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    sine = DirichletField(sigma=20.0, tau=3.0, alpha=2.0, n_modes=6).transport(z, fine)
    cosine = SMOOTH.transport(z, fine)
    h = fine.spacing[0]
    assert (sine[:, [0, -1]].abs() < h * sine.diff().abs().max() / h).all()
    assert ((cosine[:, 1] - cosine[:, 0]).abs() < 1e-2 * cosine.diff().abs().max()).all()


def test_one_length_scale_is_the_field_itself_and_the_variance_is_kept(generator) -> None:
    field = LengthScaleField(field=SMOOTH, low=3.0 - 1e-9, high=3.0 + 1e-9)
    z = torch.randn(3, field.n_coefficients(SQUARE), generator=generator, dtype=torch.float64)
    torch.testing.assert_close(field.transport(z, SQUARE), SMOOTH.transport(z[:, 1:], SQUARE), atol=1e-7, rtol=0)
    wide = LengthScaleField(field=SMOOTH, low=1.0, high=20.0)
    z = torch.randn(20000, wide.n_coefficients(CIRCLE), generator=generator, dtype=torch.float64)
    variances = []
    for level in (-3.0, 3.0):
        z[:, 0] = level
        variances.append(float(wide.transport(z, CIRCLE).var(dim=0).mean()))
    assert variances[0] == pytest.approx(variances[1], rel=0.05)


def test_materials_have_a_gradient_where_their_border_has_a_width(generator) -> None:
    z = torch.randn(9, SMOOTH.n_coefficients(SQUARE), generator=generator, dtype=torch.float64, requires_grad=True)
    sharp = ThresholdedField(field=SMOOTH, above=12.0, below=3.0)
    soft = ThresholdedField(field=SMOOTH, above=12.0, below=3.0, width=1e-3)
    a, b = sharp.transport(z, SQUARE), soft.transport(z, SQUARE)
    assert not a.requires_grad and set(a.unique().tolist()) == {3.0, 12.0}
    assert ((a - b).abs() > 1.0).double().mean() < 0.02
    assert torch.autograd.grad(b.sum(), z)[0].abs().max() > 0


@pytest.mark.parametrize("law", [Uniform(2.0, 5.0), LogUniform(0.01, 1.0), LogNormal(2.0, 0.5)])
def test_scalars_through_their_quantiles(law, generator) -> None:
    z = torch.randn(40000, generator=generator, dtype=torch.float64)
    p = torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)
    a, b = law.transport(z).log().quantile(p), law.sample(40000, generator).log().quantile(p)
    torch.testing.assert_close(a, b, atol=0.06, rtol=0)


def test_a_prior_gives_states_and_parameters_in_the_problems_order(generator) -> None:
    problem = Burgers().problem(CIRCLE, 0.1)
    prior = Prior(problem, {"velocity": SMOOTH, "viscosity": LogUniform(0.01, 0.1)})
    z = prior.sample(3, generator)
    u0, params = prior(z, CIRCLE)
    assert prior.dim == 12 and prior.slices == {"velocity": slice(0, 11), "viscosity": slice(11, 12)}
    torch.testing.assert_close(u0[:, 0], SMOOTH.transport(z[:, :11], CIRCLE))
    torch.testing.assert_close(params.scalars[:, 0], LogUniform(0.01, 0.1).transport(z[:, 11]))
    with pytest.raises(ValueError, match=r"needs \['viscosity'\] and may have \['velocity'\], got \['nu'\]"):
        Prior(problem, {"nu": Known(1.0)})
    with pytest.raises(ValueError, match="viscosity needs a distribution .* got GaussianField"):
        Prior(problem, {"viscosity": SMOOTH})


def test_a_bump_lies_where_its_coefficients_say() -> None:
    bump = Bump(low=(0.2, 0.3), high=(0.8, 0.5), width=0.03, height=(1.0, 4.0))
    z = torch.zeros(1, 3, dtype=torch.float64)
    u = bump.transport(z, SQUARE)[0]
    x = SQUARE.mesh()
    torch.testing.assert_close(bump.centre(z)[0], torch.tensor([0.5, 0.4], dtype=torch.float64))
    expected = 2.0 * torch.exp(-((x[0] - 0.5) ** 2 + (x[1] - 0.4) ** 2) / 0.0018)
    torch.testing.assert_close(u, expected)


@pytest.mark.parametrize(("boundary", "parity"), [("neumann", 1.0), ("dirichlet", -1.0)])
def test_a_bump_near_an_end_goes_on_in_its_image(boundary, parity) -> None:
    """Even or odd about the end: the first two cells continue as their mirror images do."""
    grid = Heat(boundary=boundary).grid((400,))
    u = Bump(low=(0.0,), high=(0.2,), width=0.1).transport(torch.zeros(1, 1, dtype=torch.float64), grid)[0]
    around = torch.cat([parity * u[:3].flip(0), u[:3]])
    third = around.diff(n=3)
    assert third.abs().max() < 10 * (1 / 400 / 0.1) ** 3, "a corner would leave a difference of order h"


def test_points_read_the_function_on_any_grid() -> None:
    """Exact for resolved waves on a circle; of order 4 elsewhere."""
    places = torch.tensor([[0.1234], [0.9876]], dtype=torch.float64)
    wave = torch.sin(2 * math.pi * 5 * CIRCLE.coordinates()[0])
    seen = Points(positions=places)(wave.reshape(1, 1, 1, -1), CIRCLE)
    torch.testing.assert_close(seen[0], torch.sin(2 * math.pi * 5 * places[:, 0]), atol=1e-12, rtol=0)
    inside = torch.tensor([[0.31, 0.77], [0.5, 0.11]], dtype=torch.float64)
    errors = []
    for n in (16, 32, 64):
        grid = Darcy().grid((n, n))
        u = torch.sin(3 * grid.mesh()).prod(dim=0)
        errors.append(
            float((Points(positions=inside)(u[None, None, None], grid) - torch.sin(3 * inside).prod(1)).norm())
        )
    assert all(math.log2(a / b) > 3.5 for a, b in zip(errors, errors[1:], strict=False)), errors
    with pytest.raises(ValueError, match="outside the domain"):
        Points(positions=[[0.5, 1.2]])(u[None, None, None], grid)


def test_times_channels_patches_and_masks(generator) -> None:
    u = torch.randn(2, 4, 3, 24, 20, generator=generator, dtype=torch.float64)
    full = FullField(steps=(0, -1), channel=2)(u, SQUARE)
    torch.testing.assert_close(full, u[:, [0, 3], 2].flatten(1))
    mask = torch.rand(full.shape[1], generator=generator) > 0.5
    torch.testing.assert_close(FullField(steps=(0, -1), channel=2, mask=mask)(u, SQUARE), full[:, mask])
    halves = PatchMeans(boxes=[[[0.0, 0.5], [0.0, 1.0]], [[0.5, 1.0], [0.0, 1.0]]])(u, SQUARE)
    torch.testing.assert_close(halves[:, 0], u[:, -1, 0, :12].mean(dim=(1, 2)))
    torch.testing.assert_close(halves[:, 1], u[:, -1, 0, 12:].mean(dim=(1, 2)))
    with pytest.raises(ValueError, match="a mask of 7 for 480 numbers"):
        FullField(mask=torch.ones(7, dtype=torch.bool))(u, SQUARE)


def test_noise_whitens_its_own_samples(generator) -> None:
    root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    correlated = CorrelatedNoise(root @ root.T + torch.eye(5, dtype=torch.float64))
    relative = IndependentNoise.relative(torch.tensor([1.0, -2.0, 0.01, 3.0, 4.0]).double(), 0.02, floor=0.1)
    torch.testing.assert_close(relative.std, torch.tensor([0.02, 0.04, 0.002, 0.06, 0.08]).double())
    for noise in (correlated, relative, relative.plus(correlated.covariance)):
        white = noise.whiten(noise.sample(40000, generator))
        torch.testing.assert_close(torch.cov(white.T), torch.eye(5, dtype=torch.float64), atol=0.04, rtol=0)
    with pytest.raises(ValueError, match="not positive definite"):
        CorrelatedNoise(-torch.eye(3, dtype=torch.float64))


def darcy_problem(generator) -> InverseProblem:
    pde = Darcy()
    grid = pde.grid((12, 12))
    field = LogNormalField(field=GaussianField(sigma=8.0, tau=3.0, alpha=2.0, n_modes=3))
    prior = Prior(pde.problem(grid, 0.0), {"permeability": field})
    sensors = Points(positions=[[0.3, 0.4], [0.7, 0.2], [0.5, 0.8]])
    noise = IndependentNoise(torch.full((3,), 1e-3, dtype=torch.float64))
    data = torch.tensor([0.05, 0.04, 0.03], dtype=torch.float64)
    solver = reference_solver(pde, grid, 0.0)
    return InverseProblem(prior=prior, observation=sensors, noise=noise, data=data, grid=grid, reference=solver)


def test_gradient_and_jacobian_through_the_solver_against_differences(generator) -> None:
    target = darcy_problem(generator).by_reference
    z, direction = torch.randn(2, target.dim, generator=generator, dtype=torch.float64)
    eps = 1e-5
    up, down = z + eps * direction, z - eps * direction
    _, gradient = target.value_and_gradient(z.unsqueeze(0))
    values = target.potential(torch.stack([up, down]))
    assert float(gradient[0] @ direction) == pytest.approx(float(values[0] - values[1]) / (2 * eps), rel=1e-5)
    residual, jacobian = target.linearised(z)
    ends = target.residual(torch.stack([up, down]))
    torch.testing.assert_close(-jacobian @ direction, (ends[0] - ends[1]) / (2 * eps), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(residual, target.residual(z.unsqueeze(0))[0])


def test_solves_are_counted_and_a_budget_is_hard(generator) -> None:
    problem = darcy_problem(generator)
    target, solves = problem.by_reference, problem.solves
    assert target.status is Status.EXACT
    z = problem.prior.sample(4, generator)
    target.misfit(z)
    assert (solves.reference, solves.surrogate) == (4, 0)
    target.value_and_gradient(z)
    assert solves.reference == 12, "a gradient is a solve forward and one backward"
    target.linearised(z[0])
    assert solves.reference == 12 + 1 + 3
    with (
        solves.at_most(5),
        pytest.raises(BudgetExceeded, match="4 reference solves more than 20 exceed the limit of 21"),
    ):
        target.misfit(z)
        target.misfit(z)
    assert solves.reference == 20
    target.misfit(z)


def test_what_cannot_be_inverted_is_refused(generator) -> None:
    problem = darcy_problem(generator)
    with pytest.raises(ValueError, match="needs a surrogate, and the problem has none"):
        problem.by_surrogate  # noqa: B018
    circle = Grid(shape=(8,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    with pytest.raises(ValueError, match="a box of 2 axes on a grid of 1"):
        Bump(low=(0.0, 0.0), high=(1.0, 1.0), width=0.1).n_coefficients(circle)


BURGERS = Burgers().problem(CIRCLE, 0.1)


def posed_with(**steps) -> InverseProblem:
    """Burgers by the given propagators, whoever made them."""
    return InverseProblem(
        prior=Prior(BURGERS, {"velocity": SMOOTH, "viscosity": LogUniform(0.01, 0.1)}),
        observation=Points(positions=[[0.25]], steps=(-1,)),
        noise=IndependentNoise(torch.ones(1, dtype=torch.float64)),
        data=torch.zeros(1, dtype=torch.float64),
        grid=CIRCLE,
        **steps,
    )


def trained_for(problem: Problem) -> Surrogate:
    return Surrogate(FNO(problem, n_modes=2, width=4, n_layers=1), Normaliser(problem), trained_range={})


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"dt": 0.5}, "steps by dt = 0.5, the prior asks for dt = 0.1"),
        ({"equation": "kdv"}, "equation: kdv; the prior's: burgers"),
        ({"channels": (Quantity("height"),)}, r"channels: \['height'\]"),
        ({"scalars": (Quantity("viscosity"), Quantity("speed"))}, "parameters: .*'speed'"),
        ({"coefficients": (Quantity("force"),)}, r"coefficients: \['force'\]; the prior's: \[\]"),
        ({"grid": replace(CIRCLE, extent=(2.0,))}, "another domain"),
        ({"grid": replace(CIRCLE, origin=(-0.5,))}, "another domain"),
        ({"grid": replace(CIRCLE, boundary=(Boundary.NEUMANN,))}, "another domain"),
    ],
    ids=["dt", "equation", "channels", "scalars", "coefficients", "extent", "origin", "boundary"],
)
def test_a_surrogate_of_another_problem_is_refused(changed, why) -> None:
    stranger = trained_for(replace(BURGERS, **changed))
    with pytest.raises(ValueError, match=f"the surrogate.*{why}"):
        posed_with(surrogate=stranger)
    with pytest.raises(ValueError, match=f"the reference.*{why}"):
        posed_with(reference=stranger)


def test_parameters_in_another_order_are_another_problem() -> None:
    """Their numbers would be taken for one another."""
    ours = FisherKPP().problem(FisherKPP().grid((16,)), 0.1)
    swapped = replace(ours, scalars=ours.scalars[::-1])
    with pytest.raises(ValueError, match=r"A's parameters: \['growth_rate', 'diffusivity'\]; B's: \['diffusivity', "):
        swapped.require_same(ours, owner="A", asker="B")


def test_propagators_that_solve_the_problem_or_do_not_say_are_taken() -> None:
    """Another resolution, an equation that its data did not name, dt from a file in single precision, a closure."""
    for step in (
        trained_for(BURGERS.on(CIRCLE.with_shape((32,)))),
        trained_for(replace(BURGERS, equation="")),
        trained_for(replace(BURGERS, dt=float(torch.tensor(0.1, dtype=torch.float32)))),
        lambda u, params: u,
        torch.nn.Identity(),
    ):
        assert posed_with(surrogate=step).surrogate is step
