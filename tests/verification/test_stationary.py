"""Poisson and Helmholtz against exact solutions; coefficients of Darcy's papers."""

import math

import pytest
import torch
from torch import Tensor

from duhamel.fields import Grid, MultiscaleTrigonometric, Parameters
from duhamel.pdes import Darcy, Helmholtz, Poisson
from duhamel.solvers import estimated_error, reference_solver


def solved(pde: Poisson | Helmholtz, grid: Grid, field: Tensor) -> Tensor:
    params = Parameters(torch.zeros(1, 0, dtype=torch.float64), field.reshape(1, 1, *grid.shape))
    return reference_solver(pde, grid, 0.0)(torch.zeros(1, 1, *grid.shape, dtype=torch.float64), params)[0, 0]


def order(errors: list[float]) -> float:
    return math.log2(errors[0] / errors[1])


@pytest.mark.parametrize(("ndim", "sizes"), [(1, (32, 64)), (2, (16, 32)), (3, (8, 16))])
def test_poisson_with_zero_boundary_values_to_second_order(ndim: int, sizes: tuple[int, int]) -> None:
    """u = prod x (1 - x) exp(x_1): its source does not vanish on the boundary."""
    errors = []
    for n in sizes:
        pde = Poisson(boundary="dirichlet")
        grid = pde.grid((n,) * ndim)
        x = grid.mesh().requires_grad_()
        u = (x * (1 - x)).prod(dim=0) * torch.exp(x[0])
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        laplacian = sum(torch.autograd.grad(slope[i].sum(), x, retain_graph=True)[0][i] for i in range(ndim))
        assert isinstance(laplacian, Tensor)
        errors.append(float((solved(pde, grid, -laplacian.detach()) - u.detach()).norm() / u.norm()))
    assert 1.85 < order(errors) < 2.15, errors


class StandingWave(Helmholtz):
    """c = 1 and k = 12.6: u = cos(2 pi x) cos(q y) / (-q sin q), q^2 = k^2 - 4 pi^2."""

    def flux(self, x: Tensor, grid: Grid) -> Tensor:
        return torch.cos(2 * math.pi * x)

    def exact(self, grid: Grid) -> Tensor:
        x, y = grid.mesh()
        q = math.sqrt(self.omega**2 - 4 * math.pi**2)
        return torch.cos(2 * math.pi * x) * torch.cos(q * y) / (-q * math.sin(q))


def test_helmholtz_to_third_order() -> None:
    pde, errors, residuals = StandingWave(omega=12.6), [], []
    for n in (17, 33):
        grid = pde.grid((n, n))
        exact, ones = pde.exact(grid), torch.ones(n, n, dtype=torch.float64)
        errors.append(float((solved(pde, grid, ones) - exact).norm() / exact.norm()))
        params = Parameters(torch.zeros(1, 0), ones.reshape(1, 1, n, n))
        u = torch.stack([torch.zeros_like(exact), exact]).reshape(1, 2, 1, n, n)
        residuals.append(float(pde.residual(u, params, grid, 0.0)[..., 1:-1, 1:-1].norm()) / n)
    assert order(errors) > 2.8 and errors[1] < 1e-3, errors
    assert 1.8 < order(residuals) < 2.2, residuals


def test_helmholtz_in_a_varying_medium_converges(generator: torch.Generator) -> None:
    """MgNO's medium at a third of its frequency; the wave speed is bilinear between the nodes on every mesh."""
    pde = Helmholtz(omega=300.0)
    grid = pde.grid((21, 21))  # nodes at the ends of the driven part
    params, guess = pde.sample_params(grid, 1, generator), pde.sample_initial(grid, 1, generator)
    assert ((params.fields > 19) & (params.fields < 21)).all() and params.fields.std() > 0.01
    errors = [float(estimated_error(pde, guess, params, grid, 0.0, 1, refine=refine, substeps=1)) for refine in (1, 2)]
    assert errors[1] < errors[0] / 4 and errors[1] < 0.02, errors


def test_what_helmholtz_cannot_do_is_refused() -> None:
    with pytest.raises(ValueError, match="node-centred plane"):
        Helmholtz().grid((8,))
    with pytest.raises(ValueError, match="stationary"):
        reference_solver(Helmholtz(), Helmholtz().grid((8, 8)), 0.1)


def test_multiscale_coefficients_follow_their_formula(generator: torch.Generator) -> None:
    """Of one scale, one number a_1 in [1, 1.5] explains the field; six scales span contrasts of thousands."""
    grid = Darcy().grid((64, 64))
    x, y = grid.mesh()
    one = MultiscaleTrigonometric(n_scales=1).sample(grid, 1, torch.Generator().manual_seed(3))[0]
    draw = float(torch.rand(1, generator=torch.Generator().manual_seed(3), dtype=torch.float64))
    a1 = math.pi * (1 + draw / 2)
    expected = (1 + torch.cos(a1 * (x + y)) / 2) * (1 + torch.sin(a1 * (y - 3 * x)) / 2)
    torch.testing.assert_close(one, expected, atol=1e-14, rtol=0)
    six = MultiscaleTrigonometric().sample(grid, 2, generator)
    assert six.min() >= 0.5**12 and six.max() <= 1.5**12 and float(six.max() / six.min()) > 1e3
    pde = Darcy(permeability=MultiscaleTrigonometric())
    params = pde.sample_params(grid, 1, generator)
    assert reference_solver(pde, grid, 0.0)(pde.sample_initial(grid, 1, generator), params).min() > 0
