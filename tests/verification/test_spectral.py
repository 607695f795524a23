"""Spectral and exact solvers, and the Runge-Kutta of Lorenz's models, against closed forms and laws of conservation."""

import math

import numpy as np
import pytest
import scipy.integrate
import torch
from torch import Tensor

from duhamel.benchmark import exact_solutions as exact
from duhamel.benchmark.order_cases import scalars
from duhamel.fields import Boundary, Centring, Grid, rollout
from duhamel.pdes import (
    Advection,
    AllenCahn,
    FisherKPP,
    Heat,
    KdV,
    KuramotoSivashinsky,
    Lorenz96,
    NavierStokes,
    NonlinearSchroedinger,
    Wave,
)
from duhamel.pdes.base import integral
from duhamel.solvers import ETDRK4, reference_solver


def line(n: int, length: float, boundary: Boundary = Boundary.PERIODIC) -> Grid:
    centring = Centring.NODE if boundary is Boundary.PERIODIC else Centring.CELL
    return Grid(shape=(n,), extent=(length,), boundary=(boundary,), centring=centring)


def relative(u: Tensor, truth: Tensor) -> float:
    return float((u - truth).norm() / truth.norm())


def test_heat_kernel() -> None:
    grid = line(128, 2.0)
    x, kappa = grid.coordinates()[0], 0.3

    def kernel(t: float) -> Tensor:
        return exact.heat_kernel(x, kappa * t, length=2.0, centre=0.7)[None, None]

    assert relative(reference_solver(Heat(), grid, 0.2)(kernel(0.02), scalars(grid, kappa)), kernel(0.22)) < 1e-13


def test_heat_between_ends_at_zero_in_two_dimensions() -> None:
    pde = Heat(boundary="dirichlet")
    grid = pde.grid((20, 16))
    x, y = grid.mesh()
    u0 = (torch.sin(math.pi * x) * torch.sin(3 * math.pi * y))[None, None]
    u = reference_solver(pde, grid, 0.5)(u0, scalars(grid, 0.1))
    torch.testing.assert_close(u, math.exp(-0.1 * 10 * math.pi**2 * 0.5) * u0, atol=1e-15, rtol=0)


def test_wave_of_dalembert_and_its_energy() -> None:
    grid, c, t = line(64, 2 * math.pi), 0.7, 5.3
    x = grid.coordinates()[0]

    def state(t: float) -> Tensor:
        left, right = torch.exp(torch.sin(x + c * t)), torch.exp(torch.sin(x - c * t))
        velocity = c / 2 * (torch.cos(x + c * t) * left - torch.cos(x - c * t) * right)
        return torch.stack([(left + right) / 2, velocity])[None]

    pde, params = Wave(length=2 * math.pi), scalars(grid, c)
    u = reference_solver(pde, grid, t)(state(0.0), params)
    assert relative(u, state(t)) < 1e-13
    torch.testing.assert_close(pde.energy(u, params, grid), pde.energy(state(0.0), params, grid), atol=0, rtol=1e-13)
    back = reference_solver(pde, grid, t)(u * torch.tensor([1.0, -1.0]).reshape(1, 2, 1), params)
    assert relative(back[:, :1], state(0.0)[:, :1]) < 1e-13, "the wave equation is reversible"


@pytest.mark.parametrize("boundary", ["dirichlet", "neumann"])
def test_standing_wave_between_ends(boundary: str) -> None:
    pde = Wave(boundary=boundary)
    grid = pde.grid((24, 18))
    x, y = grid.mesh()
    wave = torch.sin if boundary == "dirichlet" else torch.cos
    shape = wave(math.pi * x) * wave(2 * math.pi * y)
    omega, t = 0.9 * math.pi * math.sqrt(5), 1.7
    u = reference_solver(pde, grid, t)(torch.stack([shape, 0 * shape])[None], scalars(grid, 0.9))
    truth = torch.stack([math.cos(omega * t) * shape, -omega * math.sin(omega * t) * shape])[None]
    assert relative(u, truth) < 1e-13


def test_two_solitons_pass_through_each_other() -> None:
    """The faster one comes from behind and leaves ahead; mass, momentum and Hamiltonian are kept."""
    pde, T = KdV(length=60.0), 6.0
    grid = pde.grid((384,))
    x, params = grid.coordinates()[0], scalars(grid, 1.0)

    def waves(t: float) -> Tensor:
        return exact.kdv_two_solitons(x, t, speeds=(2.25, 1.0), centres=(20.0, 26.0))[None, None]

    solver = ETDRK4(pde, grid, T / 4, substeps=320)
    u = rollout(solver, waves(0.0), params, 4, include_initial=True)
    # Periodic images leave 1e-8 at the ends of the interval.
    assert relative(u[:, -1], waves(T)) < 5e-6
    invariants = pde.invariants(u, grid)
    assert (invariants["mass"] - invariants["mass"][:, :1]).abs().max() < 1e-11
    assert (invariants["momentum"] / invariants["momentum"][:, :1] - 1).abs().max() < 2e-8
    before, after = (pde.hamiltonian(u[:, i], params, grid) for i in (0, -1))
    torch.testing.assert_close(after, before, atol=0, rtol=1e-7)
    assert int(waves(0.0)[0, 0].argmax()) < int(waves(T)[0, 0].argmax())


def test_soliton_of_schroedinger_keeps_mass_and_hamiltonian() -> None:
    pde = NonlinearSchroedinger()
    grid = pde.grid((256,))
    params = scalars(grid, 1.0)
    u0 = exact.schroedinger_soliton(
        grid.coordinates()[0], 0.0, amplitude=1.2, speed=0.5 * math.pi, focusing=1.0, centre=16.0
    )[None]
    u = reference_solver(pde, grid, 2.0, substeps=400)(u0, params)
    mass, hamiltonian = pde.invariants(u, grid)["mass"], pde.hamiltonian(u, params, grid)
    assert float(mass) == pytest.approx(2 * 1.2, rel=1e-9), "int A^2 sech^2(A x) = 2 A"
    torch.testing.assert_close(hamiltonian, pde.hamiltonian(u0, params, grid), atol=0, rtol=1e-8)


def test_soliton_of_schroedinger_in_the_plane_of_a_second_axis() -> None:
    pde = NonlinearSchroedinger()
    grid = pde.grid((256, 6))
    wave = exact.schroedinger_soliton
    x = grid.coordinates()[0]
    options = {"amplitude": 1.0, "speed": 0.25 * math.pi, "focusing": 1.0, "centre": 16.0}
    u = reference_solver(pde, grid, 0.5, substeps=100)(
        wave(x, 0.0, **options)[None, ..., None].expand(1, 2, 256, 6).contiguous(), scalars(grid, 1.0)
    )
    assert relative(u, wave(x, 0.5, **options)[None, ..., None].expand(1, 2, 256, 6)) < 1e-6


def test_front_of_fisher_and_kpp() -> None:
    """Flat on both sides, so that zero flux is no constraint: u_t = D u_xx + r u (1 - u) in sqrt(r / D) x and r t."""
    pde, D, r, T = FisherKPP(length=60.0, boundary="neumann"), 1.0, 1.0, 4.0
    grid = pde.grid((512,))
    x = grid.coordinates()[0]
    u = reference_solver(pde, grid, T, substeps=80)(
        exact.travelling_front(x, 0.0, centre=15.0)[None, None], scalars(grid, D, r)
    )
    assert relative(u[0, 0, 100:400], exact.travelling_front(x, T, centre=15.0)[100:400]) < 1e-5


def test_interface_of_allen_and_cahn_rests_and_its_energy_falls(generator: torch.Generator) -> None:
    pde, kappa = AllenCahn(length=2.0, boundary="neumann"), 1e-3
    grid = pde.grid((256,))
    x = grid.coordinates()[0]
    front = torch.tanh((x - 1.0) / math.sqrt(2 * kappa))[None, None]
    solver, params = reference_solver(pde, grid, 1.0, substeps=20), scalars(grid, kappa)
    assert relative(solver(front, params), front) < 1e-8
    # int kappa u_x^2 / 2 + (1 - u^2)^2 / 4 of a tanh is 2 sqrt(2 kappa) / 3.
    assert float(pde.energy(front, params, grid)) == pytest.approx(2 * math.sqrt(2 * kappa) / 3, rel=1e-8)
    u0 = pde.sample_initial(grid, 3, generator)
    u = rollout(solver, u0, scalars(grid, kappa, batch=3), 5, include_initial=True)
    energy = torch.stack([pde.energy(u[:, i], scalars(grid, kappa, batch=3), grid) for i in range(6)], dim=1)
    assert (torch.diff(energy, dim=1) < 0).all()


def test_energy_budget_of_kuramoto_and_sivashinsky() -> None:
    """d/dt int u^2 / 2 = int u_x^2 - nu u_xx^2; left at the start, on the right at the end by central differences."""
    pde = KuramotoSivashinsky()
    grid = pde.grid((192,))
    u = reference_solver(pde, grid, 20.0, substeps=400)(
        pde.sample_initial(grid, 1, torch.Generator().manual_seed(0)), scalars(grid, 1.0)
    )
    h = 1e-3
    frames = rollout(reference_solver(pde, grid, h, substeps=1), u, scalars(grid, 1.0), 2, include_initial=True)[
        :, :, 0
    ]
    energy = integral(frames**2 / 2, grid)
    space = pde.space(grid)
    v = space.modes(frames[:, 1:2])
    slope, bend = (space.samples(space.derivative(0, order=order) * v) for order in (1, 2))
    growth = integral(slope**2 - bend**2, grid)
    assert float((energy[:, 2] - energy[:, 0]) / (2 * h)) == pytest.approx(float(growth), rel=1e-4)


def test_taylor_and_green_only_diffuse() -> None:
    pde = NavierStokes(length=2 * math.pi, forcing=0.0)
    grid = pde.grid((32, 32))
    x, y = grid.mesh()
    u0 = (2 * 3 * torch.cos(3 * x) * torch.cos(3 * y))[None, None]
    u = reference_solver(pde, grid, 2.0, substeps=10)(u0, scalars(grid, 0.05))
    assert relative(u, math.exp(-2 * 9 * 0.05 * 2.0) * u0) < 1e-13
    velocity = pde.velocity(u0, grid)
    truth = torch.stack([-torch.cos(3 * x) * torch.sin(3 * y), torch.sin(3 * x) * torch.cos(3 * y)])[None]
    torch.testing.assert_close(velocity, truth, atol=1e-13, rtol=0)


def test_inviscid_flow_keeps_energy_and_enstrophy(generator: torch.Generator) -> None:
    pde = NavierStokes(length=2 * math.pi, forcing=0.0)
    grid = pde.grid((48, 48))
    x, y = grid.mesh()
    u0 = (torch.sin(x) * torch.cos(2 * y) + 0.5 * torch.cos(3 * x - y) + 0.3 * torch.sin(2 * x + 2 * y))[None, None]
    # Without viscosity the spectrum fills up: what is dropped is not small, but the dealiased products keep both sums.
    u = ETDRK4(pde, grid, 1.0, substeps=100, tail_bound=math.inf)(u0, scalars(grid, 0.0))
    for name, bound in (("energy", 1e-9), ("enstrophy", 1e-8)):
        before, after = (float(pde.dissipated(w, grid)[name]) for w in (u0, u))
        assert abs(after / before - 1) < bound, name
    assert relative(u, u0) > 0.1


def test_energy_budget_of_a_forced_flow(generator: torch.Generator) -> None:
    """dE/dt = -2 nu Z + int f psi, Z the enstrophy int w^2 / 2."""
    pde, nu, h = NavierStokes(), 5e-3, 2.5e-3
    grid = pde.grid((64, 64))
    params = scalars(grid, nu)
    u = reference_solver(pde, grid, 1.0, substeps=16)(pde.sample_initial(grid, 1, generator), params)
    frames = rollout(reference_solver(pde, grid, h), u, params, 2, include_initial=True)[0]
    energy = integral(pde.velocity(frames, grid).square().sum(dim=1) / 2, grid)
    x, y = grid.mesh()
    force = 0.1 * (torch.sin(2 * math.pi * (x + y)) + torch.cos(2 * math.pi * (x + y)))
    space = pde.space(grid)
    laplacian = space.laplacian()
    psi = space.samples(torch.where(laplacian == 0, 0, -1 / laplacian) * space.modes(frames[1:2]))
    budget = integral(force * psi[0, 0] - nu * frames[1, 0] ** 2, grid)
    assert float((energy[2] - energy[0]) / (2 * h)) == pytest.approx(float(budget), rel=1e-4)


def test_lorenz_against_an_eighth_order_method() -> None:
    pde = Lorenz96()
    grid = pde.grid((40,))
    u0 = pde.sample_initial(grid, 2, torch.Generator().manual_seed(0))
    u = reference_solver(pde, grid, 1.0, substeps=400)(u0, scalars(grid, 8.0, batch=2))

    def tendency(_: float, x: np.ndarray) -> np.ndarray:
        return np.roll(x, 1) * (np.roll(x, -1) - np.roll(x, 2)) - x + 8.0

    for start, end in zip(u0[:, 0].numpy(), u[:, 0], strict=True):
        judge = scipy.integrate.solve_ivp(tendency, (0, 1), start, method="DOP853", rtol=1e-12, atol=1e-12)
        assert relative(end, torch.from_numpy(judge.y[:, -1].copy())) < 1e-6


def test_gradients_through_a_vortex_rollout(generator: torch.Generator) -> None:
    pde = NavierStokes()
    grid = pde.grid((6, 6))
    solver = ETDRK4(pde, grid, 0.5, substeps=1, tail_bound=math.inf)
    u0 = pde.sample_initial(grid, 1, generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda u: rollout(solver, u, scalars(grid, 0.01), 2), u0)


def test_advection_composes() -> None:
    grid = line(33, 1.0)
    u0 = torch.randn(2, 1, 33, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    params = scalars(grid, 0.37, batch=2)
    long = reference_solver(Advection(), grid, 0.9)(u0, params)
    short = rollout(reference_solver(Advection(), grid, 0.3), u0, params, 3)[:, -1]
    torch.testing.assert_close(short, long, atol=1e-13, rtol=0)
