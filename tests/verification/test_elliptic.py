"""Iterative elliptic solvers: orders, agreement with the direct solve, iteration counts, adjoint."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from duhamel.fields import Boundary, Centring, GaussianField, Grid, LogNormalField, RandomField, ThresholdedField
from duhamel.pdes import Darcy
from duhamel.pdes.diffusion import diffusion
from duhamel.solvers import (
    DarcyFiniteVolume,
    FastPoisson,
    Multigrid,
    ScaledLaplacian,
    conjugate_gradients,
    solve_darcy,
    solve_diffusion,
)
from duhamel.solvers.elliptic import Preconditioner
from duhamel.solvers.fast_poisson import eigenbasis
from duhamel.solvers.stiffness import Stiffness

KINDS = (Boundary.DIRICHLET, Boundary.NEUMANN, Boundary.PERIODIC)
SMOOTH = LogNormalField(field=GaussianField(sigma=10.0, tau=5.0, alpha=2.0, n_modes=8))  # contrast about 100
TWO_MATERIALS = ThresholdedField(
    field=GaussianField(sigma=1.0, tau=3.0, alpha=2.0, n_modes=64, zero_mean=True), above=12.0, below=3.0
)


def box(shape: tuple[int, ...], *kinds: Boundary) -> Grid:
    boundary = kinds if len(kinds) == len(shape) else kinds * len(shape)
    return Grid(shape=shape, extent=(1.0,) * len(shape), boundary=boundary, centring=Centring.CELL)


def manufactured(grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    """u, a and f = -div(a grad u) by automatic differentiation of formulas that respect the grid's boundary."""
    shapes = {
        Boundary.DIRICHLET: lambda x: torch.sin(math.pi * x) * (1 + x),
        Boundary.NEUMANN: lambda x: torch.cos(math.pi * x),
        Boundary.PERIODIC: lambda x: torch.sin(2 * math.pi * x) + torch.cos(4 * math.pi * x) / 2,
    }
    x = grid.mesh().requires_grad_()
    u = torch.stack([shapes[b](x[i]) for i, b in enumerate(grid.boundary)]).prod(dim=0)
    a = 1.5 + torch.cos(2 * math.pi * x).prod(dim=0)
    (grad_u,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    flux = a * grad_u
    f = -sum(torch.autograd.grad(flux[i].sum(), x, retain_graph=True)[0][i] for i in range(grid.ndim))
    return u.detach().unsqueeze(0), a.detach().unsqueeze(0), f.detach().unsqueeze(0)


@pytest.mark.parametrize("preconditioner", [Multigrid, ScaledLaplacian])
@pytest.mark.parametrize(
    ("kinds", "sizes"),
    [
        ((Boundary.DIRICHLET,), (16, 32, 64)),
        ((Boundary.PERIODIC,) * 2, (16, 32, 64)),
        ((Boundary.DIRICHLET, Boundary.NEUMANN), (16, 32, 64)),
        ((Boundary.DIRICHLET, Boundary.PERIODIC, Boundary.NEUMANN), (8, 16, 32)),
    ],
)
def test_second_order_under_every_boundary(
    preconditioner: Preconditioner, kinds: tuple[Boundary, ...], sizes: tuple[int, ...]
) -> None:
    errors = []
    for n in sizes:
        grid = box((n,) * len(kinds), *kinds)
        u, a, f = manufactured(grid)
        # The mean of f over a periodic box vanishes for the integral, up to rounding only for its samples.
        f = f - f.mean() if Boundary.DIRICHLET not in kinds else f
        v = solve_diffusion(a, f, grid, preconditioner=preconditioner).u
        shift = (u - v).mean() if Boundary.DIRICHLET not in kinds else 0.0
        errors.append(float((v + shift - u).norm() / u.norm()))
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert all(1.85 <= order <= 2.15 for order in orders), (errors, orders)


@pytest.mark.parametrize("shape", [(48,), (24, 16), (8, 12, 4)])
@pytest.mark.parametrize("preconditioner", [Multigrid, ScaledLaplacian])
def test_equals_the_direct_solve(
    preconditioner: Preconditioner, shape: tuple[int, ...], generator: torch.Generator
) -> None:
    grid = box(shape, Boundary.DIRICHLET)
    a = SMOOTH.sample(grid, 3, generator)
    f = torch.randn(3, *shape, dtype=torch.float64, generator=generator)
    solution = solve_diffusion(a, f, grid, preconditioner=preconditioner, tolerance=1e-12)
    torch.testing.assert_close(solution.u, solve_darcy(a, f, grid), atol=1e-11, rtol=1e-9)
    assert solution.residual.max() < 1e-11


@pytest.mark.parametrize(
    ("preconditioner", "field", "bound"), [(Multigrid, TWO_MATERIALS, 18), (ScaledLaplacian, SMOOTH, 26)]
)
def test_iterations_do_not_grow_with_the_mesh(preconditioner: Preconditioner, field: RandomField, bound: int) -> None:
    """To a residual of 1e-10: 14, 16, 17 (multigrid) at 32, 64, 128 points an axis, where Jacobi's number doubles."""
    counts = []
    for n in (32, 64, 128):
        grid = box((n, n), Boundary.DIRICHLET)
        a = field.sample(grid, 2, torch.Generator().manual_seed(0))
        counts.append(int(solve_diffusion(a, torch.ones_like(a), grid, preconditioner=preconditioner).iterations.max()))
    assert max(counts) <= bound and counts[2] - counts[1] <= 2, counts


def test_multigrid_bears_a_contrast_of_ten_thousand(generator: torch.Generator) -> None:
    grid = box((64, 64), Boundary.DIRICHLET)
    a = ThresholdedField(field=TWO_MATERIALS.field, above=1e4, below=1.0).sample(grid, 3, generator)
    solution = solve_diffusion(a, torch.ones_like(a), grid)
    assert solution.iterations.max() <= 40
    torch.testing.assert_close(solution.u, solve_darcy(a, torch.ones_like(a), grid), atol=0, rtol=1e-6)


@pytest.mark.parametrize("kinds", [(Boundary.DIRICHLET,) * 2, (Boundary.DIRICHLET, Boundary.PERIODIC)])
def test_the_matrix_its_coarse_twin_and_the_cycle(kinds: tuple[Boundary, ...], generator: torch.Generator) -> None:
    """The stored operator is that of the residual; merging is half of Galerkin's product; the cycle is s.p.d."""
    grid = box((8, 4), *kinds)
    a = SMOOTH.sample(grid, 2, generator)
    fine = Stiffness.of(a, grid)
    u = torch.randn(2, 8, 4, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(fine(u), diffusion(u, a, grid), atol=1e-10, rtol=1e-12)
    spread = torch.zeros(8, 4, 4, 2, dtype=torch.float64)
    for i in range(8):
        for j in range(4):
            spread[i, j, i // 2, j // 2] = 1.0
    P = spread.reshape(32, 8)
    torch.testing.assert_close(fine.coarsened().dense(), P.T @ fine.dense() @ P / 2, atol=1e-9, rtol=1e-12)
    cycle = Multigrid(a[:1], grid)
    columns = [cycle(e.reshape(1, 8, 4)).flatten() for e in torch.eye(32, dtype=torch.float64)]
    matrix = torch.stack(columns, dim=1)
    torch.testing.assert_close(matrix, matrix.T, atol=1e-14, rtol=1e-12)
    spectrum = torch.linalg.eigvals(matrix @ fine.dense()[0]).real
    assert spectrum.min() > 0.3 and spectrum.max() < 2.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [6, 7])
def test_the_laplacian_is_inverted_to_rounding(kind: Boundary, n: int, generator: torch.Generator) -> None:
    grid = box((n, 2 * n), kind)
    values, vectors = eigenbasis(grid, 0)
    eye = torch.eye(n, dtype=torch.float64)
    torch.testing.assert_close(vectors.T @ vectors, eye, atol=1e-14, rtol=0)
    line = box((n,), kind)
    second_difference = diffusion(eye, torch.ones_like(eye), line)
    torch.testing.assert_close(vectors @ torch.diag(values) @ vectors.T, second_difference, atol=1e-11, rtol=0)
    f = torch.randn(3, n, 2 * n, dtype=torch.float64, generator=generator)
    f = f if kind is Boundary.DIRICHLET else f - f.mean(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(diffusion(FastPoisson(grid)(f), torch.ones_like(f), grid), f, atol=1e-12, rtol=0)


@pytest.mark.parametrize("preconditioner", [Multigrid, ScaledLaplacian])
def test_adjoint_against_finite_differences(preconditioner: Preconditioner, generator: torch.Generator) -> None:
    """Directional derivatives of a nonlinear functional; central differences with step 1e-5 err by about 1e-10."""
    grid = box((16, 16), Boundary.DIRICHLET, Boundary.PERIODIC)
    a = SMOOTH.sample(grid, 2, generator).requires_grad_()
    f, weight, da, df = (torch.randn(2, 16, 16, dtype=torch.float64, generator=generator) for _ in range(4))
    f.requires_grad_()

    def functional(a: Tensor, f: Tensor) -> Tensor:
        u = solve_diffusion(a, f, grid, preconditioner=preconditioner, tolerance=1e-13).u
        return (weight * u + u**2).sum()

    grad_a, grad_f = torch.autograd.grad(functional(a, f), (a, f))
    eps = 1e-5
    with torch.no_grad():
        along_a = (functional(a + eps * a * da, f) - functional(a - eps * a * da, f)) / (2 * eps)
        along_f = (functional(a, f + eps * df) - functional(a, f - eps * df)) / (2 * eps)
    assert float((grad_a * a.detach() * da).sum()) == pytest.approx(float(along_a), rel=1e-6)
    assert float((grad_f * df).sum()) == pytest.approx(float(along_f), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck_with_and_without_a_kernel(kind: Boundary, generator: torch.Generator) -> None:
    grid = box((4, 2), kind)
    a = (torch.rand(2, 4, 2, dtype=torch.float64, generator=generator) + 0.5).requires_grad_()
    f = torch.randn(2, 4, 2, dtype=torch.float64, generator=generator, requires_grad=True)

    def solve(a: Tensor, f: Tensor) -> Tensor:
        f = f if kind is Boundary.DIRICHLET else f - f.mean(dim=(1, 2), keepdim=True)
        return solve_diffusion(a, f, grid, tolerance=1e-14).u

    assert torch.autograd.gradcheck(solve, (a, f))


def test_the_propagator_takes_either_solve(generator: torch.Generator) -> None:
    pde = Darcy(permeability=SMOOTH)
    grid = pde.grid((16, 16))
    params, guess = pde.sample_params(grid, 2, generator), pde.sample_initial(grid, 2, generator)
    iterative = DarcyFiniteVolume(grid, solve=lambda a, f, grid: solve_diffusion(a, f, grid).u)
    torch.testing.assert_close(iterative(guess, params), DarcyFiniteVolume(grid)(guess, params), atol=0, rtol=1e-8)


def test_a_guess_shortens_the_solve_and_float32_stays_float32(generator: torch.Generator) -> None:
    grid = box((32, 32), Boundary.DIRICHLET)
    a = SMOOTH.sample(grid, 2, generator).float()
    f = torch.ones_like(a)
    cold = solve_diffusion(a, f, grid, tolerance=1e-5)
    warm = solve_diffusion(a, f, grid, tolerance=1e-5, guess=cold.u)
    assert cold.u.dtype is torch.float32
    assert int(warm.iterations.max()) <= 1 < int(cold.iterations.min())
    assert torch.equal(solve_diffusion(a, torch.zeros_like(a), grid, tolerance=1e-5).u, torch.zeros_like(a))


def test_a_few_steps_are_reported_not_refused(generator: torch.Generator) -> None:
    grid = box((32, 32), Boundary.DIRICHLET)
    a = SMOOTH.sample(grid, 2, generator)
    f = torch.ones_like(a)
    operator = Stiffness.of(a, grid)
    steps = conjugate_gradients(operator, f, precondition=Multigrid(a, grid), tolerance=0.0, max_iterations=4)
    assert steps.iterations.tolist() == [4, 4] and not steps.converged.any()
    torch.testing.assert_close(
        steps.residual, (f - operator(steps.x)).flatten(1).norm(dim=1) / f.flatten(1).norm(dim=1)
    )


def test_what_cannot_be_solved_is_refused() -> None:
    grid, ring = box((8, 8), Boundary.DIRICHLET), box((8,), Boundary.PERIODIC)
    one = torch.ones(1, 8, 8)
    with pytest.raises(ValueError, match="must be positive"):
        solve_diffusion(-one, one, grid)
    with pytest.raises(ValueError, match="below the rounding of torch.float32"):
        solve_diffusion(one, one, grid, tolerance=1e-10)
    with pytest.raises(ValueError, match="sample 0: relative residual .* after 2 iterations"):
        solve_diffusion(one.double(), one.double(), grid, max_iterations=2)
    with pytest.raises(ValueError, match="mean zero"):
        solve_diffusion(torch.ones(1, 8), torch.ones(1, 8), ring, tolerance=1e-6)
    with pytest.raises(ValueError, match="must lie on the grid"):
        solve_diffusion(torch.ones(1, 4, 4), torch.ones(1, 4, 4), grid)
    with pytest.raises(ValueError, match=r"ends at \(33, 33\)"):
        Multigrid(torch.ones(1, 33, 33), box((33, 33), Boundary.DIRICHLET))
    with pytest.raises(ValueError, match="dirichlet or neumann or periodic"):
        FastPoisson(box((8,), Boundary.OPEN))
