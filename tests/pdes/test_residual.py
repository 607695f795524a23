"""Residuals of trajectories that solve the equation, and of trajectories that do not."""

import math
from itertools import pairwise

import pytest
import torch

from duhamel.fields import GaussianField, Parameters, rollout
from duhamel.pdes import (
    Advection,
    AllenCahn,
    Burgers,
    Darcy,
    EvolutionPDE,
    FisherKPP,
    FitzHughNagumo,
    Heat,
    KdV,
    KuramotoSivashinsky,
    Lorenz96,
    Lorenz96TwoLevel,
    NavierStokes,
    NonlinearSchroedinger,
    Wave,
)
from duhamel.solvers import ETDRK4, reference_solver, reference_trajectory

GENTLE = GaussianField(sigma=5.0, tau=5.0, alpha=2.0, n_modes=2, zero_mean=True)
LONG = GaussianField(sigma=2.0, tau=1.0, alpha=2.0, n_modes=3, zero_mean=True)
CASES = [
    (Advection(), (512,), 0.1),
    (AllenCahn(boundary="neumann"), (128,), 0.5),
    (Burgers(), (512,), 0.05),
    (FisherKPP(boundary="neumann", initial=GENTLE), (32, 24), 0.5),
    (FitzHughNagumo(initial=GENTLE), (32, 24), 0.2),
    (Heat(boundary="neumann"), (32, 24), 0.1),
    (KdV(), (256,), 0.05),
    (KuramotoSivashinsky(initial=LONG), (96,), 0.1),
    (Lorenz96(spin_up=1.0), (8,), 0.05),
    (Lorenz96TwoLevel(spin_up=0.2), (6,), 0.005),
    (NavierStokes(initial=GENTLE), (32, 32), 0.5),
    (NonlinearSchroedinger(), (256,), 0.05),
    (Wave(), (32, 24), 0.05),
]


@pytest.mark.parametrize(("pde", "shape", "T"), CASES, ids=lambda case: getattr(case, "name", None))
def test_residual_of_a_reference_trajectory_is_of_second_order(
    pde: EvolutionPDE, shape: tuple[int, ...], T: float
) -> None:
    """Equation and solver agree, terms and signs, whatever both have in common."""
    grid = pde.grid(shape)
    residuals = []
    for halvings in range(3):
        generator = torch.Generator().manual_seed(0)
        u0, params = pde.sample_initial(grid, 2, generator), pde.sample_params(grid, 2, generator)
        n_steps = 10 * 2**halvings
        solver = reference_solver(pde, grid, T / n_steps, substeps=2)
        if isinstance(solver, ETDRK4):
            solver.tail_bound = 1e-4
        u = rollout(solver, u0, params, n_steps, include_initial=True)
        residual = pde.residual(u, params, grid, T / n_steps)
        assert residual.shape == (2, n_steps - 1, len(pde.channels), *shape)
        residuals.append(float(residual.square().mean().sqrt()))
    orders = [math.log2(a / b) for a, b in pairwise(residuals)]
    assert all(1.9 < order < 2.1 for order in orders), (residuals, orders)


def test_residual_sees_a_wrong_parameter() -> None:
    """With the viscosity off by d nu the residual is d nu u_xx: here d nu sin x."""
    pde = Burgers(length=2 * math.pi)
    grid = pde.grid((32,))
    x = grid.coordinates()[0]
    u = torch.sin(x).expand(1, 3, 1, 32).contiguous()

    def residual(nu: float) -> torch.Tensor:
        params = Parameters(torch.tensor([[nu]], dtype=torch.float64), torch.zeros(1, 0, 32, dtype=torch.float64))
        return pde.residual(u, params, grid, 0.1)[0, 0, 0]

    torch.testing.assert_close(residual(0.5) - residual(0.2), 0.3 * torch.sin(x), atol=1e-13, rtol=0)
    torch.testing.assert_close(residual(0.0), torch.sin(x) * torch.cos(x), atol=1e-13, rtol=0)


def test_each_sample_meets_its_own_parameter(generator: torch.Generator) -> None:
    pde = Advection()
    grid = pde.grid((32,))
    u0, params = pde.sample_initial(grid, 4, generator), pde.sample_params(grid, 4, generator)
    u = reference_trajectory(pde, u0, params, grid, 0.001, 4)
    together = pde.residual(u, params, grid, 0.001)
    alone = torch.cat([pde.residual(u[i : i + 1], params[i : i + 1], grid, 0.001) for i in range(4)])
    torch.testing.assert_close(together, alone, atol=1e-12, rtol=0)
    swapped = pde.residual(u, params[torch.tensor([1, 0, 3, 2])], grid, 0.001)
    assert swapped.norm() > 100 * together.norm()


def test_residuals_are_differentiable() -> None:
    pde = Burgers()
    grid = pde.grid((9,))
    u = torch.randn(1, 4, 1, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    nu = torch.tensor([[0.1]], dtype=torch.float64, requires_grad=True)
    fields = torch.zeros(1, 0, 9, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda u, nu: pde.residual(u, Parameters(nu, fields), grid, 0.5), (u, nu))


def test_a_wrong_pressure_leaves_its_diffusion(generator: torch.Generator) -> None:
    pde = Darcy(source=0.0)
    grid = pde.grid((64, 64))
    x, y = grid.mesh()
    bump = torch.sin(math.pi * x) * torch.sin(math.pi * y)
    u = torch.stack([torch.zeros_like(bump), bump]).reshape(1, 2, 1, 64, 64)
    params = Parameters(torch.zeros(1, 0, dtype=torch.float64), torch.full((1, 1, 64, 64), 2.0, dtype=torch.float64))
    residual = pde.residual(u, params, grid, 0.0)
    inside = (slice(1, -1),) * 2
    torch.testing.assert_close(residual[0, 0, 0][inside], 4 * math.pi**2 * bump[inside], atol=0, rtol=1e-3)


def test_trajectories_without_a_residual_are_refused() -> None:
    burgers, darcy = Burgers(), Darcy()
    line, square = burgers.grid((8,)), darcy.grid((8, 8))
    with pytest.raises(ValueError, match="at least 3 states"):
        burgers.residual(torch.zeros(1, 2, 1, 8), Parameters.none(1, (8,)), line, 0.1)
    with pytest.raises(ValueError, match="guess, solution"):
        darcy.residual(torch.zeros(1, 2, 1, 8, 8), Parameters.none(1, (8, 8)), square, 0.1)
