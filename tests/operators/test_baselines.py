"""DeepONet, the transformer and regression in principal components."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid, Parameters, Trajectory
from duhamel.operators import DeepONet, Normaliser, PODRegression, Transformer
from duhamel.operators.position import position_features, quadrature
from duhamel.operators.transformer import Attention
from tests.operators.problems import line


def states(problem, n, generator, batch=2):
    grid = problem.grid.with_shape((n,))
    x = grid.coordinates()[0]
    u = torch.stack([torch.sin(2 * math.pi * x), 1 + torch.cos(4 * math.pi * x)])[:, None]
    return grid, u, Parameters(torch.tensor([[0.5], [-1.0]], dtype=torch.float64), u.new_zeros(2, 0, n))


@pytest.mark.parametrize("kind", [DeepONet, Transformer])
@pytest.mark.parametrize("boundary", [Boundary.PERIODIC, Boundary.DIRICHLET])
def test_integrals_converge_at_the_order_of_their_quadrature(kind, boundary, generator):
    """Beyond all orders on circles; by the trapezoidal rule, of order two, where both ends are held."""
    problem = line(17, boundary=boundary)
    small = {"width": 8, "n_layers": 1, "n_heads": 2} if kind is Transformer else {"width": 8, "n_sensors": 4}
    model = kind(problem, n_frequencies=1, **small).double()
    outputs = {}
    for n in (17, 33, 65, 257):
        points = n - 1 if boundary is Boundary.PERIODIC else n
        grid, u, params = states(problem, points, generator)
        outputs[n] = model.on(grid)(u, params)[..., :: (n - 1) // 16].detach()[..., :16]
    errors = [(outputs[n] - outputs[257]).abs().max().item() for n in (17, 33, 65)]
    if boundary is Boundary.PERIODIC:
        assert errors[1] < max(1e-2 * errors[0], 1e-12) and errors[2] < max(1e-2 * errors[1], 1e-12), errors
    else:
        assert errors[1] < errors[0] / 3 and errors[2] < errors[1] / 3, errors


def test_attention_on_a_constant_does_not_depend_on_the_resolution(generator):
    attention = Attention(8, 2).double()
    value = torch.randn(1, 8, 1, generator=generator, dtype=torch.float64)
    outputs = []
    for n in (5, 40):
        grid = Grid(shape=(n,), extent=(1.0,), boundary=(Boundary.NEUMANN,), centring=Centring.NODE)
        outputs.append(attention(value.expand(-1, -1, n), quadrature(grid, like=value)))
    torch.testing.assert_close(outputs[0][..., :1].expand(-1, -1, 40), outputs[1], rtol=0, atol=1e-14)


def test_quadrature_and_positions_know_the_ends():
    held = Grid(shape=(5,), extent=(1.0,), boundary=(Boundary.DIRICHLET,), centring=Centring.NODE)
    x = held.coordinates()[0]
    assert (quadrature(held, like=x) * x**1).sum().item() == pytest.approx(0.5, abs=1e-15)
    circle = Grid(shape=(6, 6), extent=(1.0, 2.0), boundary=(Boundary.PERIODIC,) * 2, centring=Centring.NODE)
    assert torch.unique(quadrature(circle, like=x)).numel() == 1
    features = position_features(circle, circle, n_frequencies=2, like=x)
    assert features.shape == (8, 6, 6)
    assert (features * quadrature(circle, like=x)).sum((1, 2)).abs().max() < 1e-15


def rotated(u, shift):
    """u(x - shift) on a circle, exactly."""
    k = torch.arange(u.shape[-1] // 2 + 1, dtype=torch.float64)
    return torch.fft.irfft(torch.fft.rfft(u) * torch.exp(-2j * math.pi * k * shift), n=u.shape[-1])


def test_regression_finds_a_linear_propagator_that_a_number_scales(generator):
    """u_next = u + mu K u with K of rank 6: bilinear, so within the regressors."""
    problem = line(16)
    x = problem.grid.coordinates()[0]
    waves = torch.stack([f(2 * math.pi * k * x) for k in (1, 2, 3) for f in (torch.sin, torch.cos)])
    u0 = torch.randn(40, 6, generator=generator, dtype=torch.float64) @ waves
    mu = torch.rand(40, 1, generator=generator, dtype=torch.float64)
    u1 = u0 + mu * (rotated(u0, 0.1) - u0)
    window = Trajectory(
        torch.stack([u0, u1], 1)[:, :, None], Parameters(mu, torch.zeros(40, 0, 16).double()), problem.grid, 0.1
    )
    model = PODRegression(problem, rank=6, ridge=0.0).double()
    model.fit([Trajectory(window.u[:30], window.params[:30], problem.grid, 0.1)], Normaliser(problem).double())
    increment = model(u0[30:, None], Parameters(mu[30:], torch.zeros(10, 0, 16).double()))
    torch.testing.assert_close(increment[:, 0], (u1 - u0)[30:], rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="3 training states cannot span 6 components"):
        few = Trajectory(window.u[:3], window.params[:3], problem.grid, 0.1)
        model.fit([few], Normaliser(problem).double())
