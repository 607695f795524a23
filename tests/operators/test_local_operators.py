"""U-NO, local kernels, low-rank and graph kernels: what their integrals and derivatives tend to."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid, Parameters
from duhamel.operators import UNO, GraphKernelNO, LocalNO, LowRankNO
from duhamel.operators.local_kernels import DifferentialKernel, IntegralKernel
from tests.operators.problems import line, plane


def circle(n: int, *, dim: int = 1, extent: float = 1.0) -> Grid:
    return Grid(shape=(n,) * dim, extent=(extent,) * dim, boundary=(Boundary.PERIODIC,) * dim, centring=Centring.NODE)


def test_a_differential_kernel_tends_to_the_derivative_that_its_weights_name():
    """h_0 sum_k w_k k . grad v; a constant gives nothing; at second order where the weights are odd."""
    trained = circle(16, dim=2)
    layer = DifferentialKernel(1, 1, grid=trained).double()
    with torch.no_grad():
        odd = (layer.weight - layer.weight.flip(2, 3)) / 2
        layer.weight.copy_(odd)
    offsets = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    slope_x = (odd[0, 0] * offsets[:, None]).sum() / 16
    slope_y = (odd[0, 0] * offsets[None, :]).sum() / 16
    errors = []
    for n in (16, 32, 64):
        x, y = circle(n, dim=2).mesh()
        v = torch.sin(2 * math.pi * x) * torch.cos(2 * math.pi * y)
        exact = 2 * math.pi * slope_x * torch.cos(2 * math.pi * x) * torch.cos(2 * math.pi * y)
        exact = exact - 2 * math.pi * slope_y * torch.sin(2 * math.pi * x) * torch.sin(2 * math.pi * y)
        errors.append((layer(v[None, None], circle(n, dim=2)) - exact).abs().max().item())
        assert layer(torch.ones_like(v)[None, None], circle(n, dim=2)).abs().max() < 1e-12
    orders = [math.log2(a / b) for a, b in zip(errors[:-1], errors[1:], strict=True)]
    assert min(orders) > 1.8, (errors, orders)
    with pytest.raises(ValueError, match="refined by one factor"):
        layer(torch.zeros(1, 1, 16, 32), circle(16, dim=2).with_shape((16, 32)))


def test_an_integral_kernel_is_its_integral_in_any_dimension():
    """Against exp(i k x) a hat function of half width d at s gives d sinc^2(k d / 2) exp(i k s); order two in h."""
    radius, k = 0.25, 2 * math.pi
    trained = circle(16)
    layer = IntegralKernel(1, 1, grid=trained, radius=radius, n_nodes=3).double()
    d = radius / 2
    nodes = [-d, 0.0, d]
    share = d / radius * (math.sin(k * d / 2) / (k * d / 2)) ** 2
    errors = []
    for n in (16, 32, 64):
        x = circle(n).coordinates()[0]
        exact = sum(w * share * torch.cos(k * (x + s)) for w, s in zip(layer.weight[0, 0].tolist(), nodes, strict=True))
        errors.append((layer(torch.cos(k * x)[None, None], circle(n))[0, 0] - exact).abs().max().item())
    orders = [math.log2(a / b) for a, b in zip(errors[:-1], errors[1:], strict=True)]
    assert min(orders) > 1.9, (errors, orders)
    flat = IntegralKernel(1, 1, grid=circle(16, dim=2), radius=radius).double()
    with torch.no_grad():
        flat.weight.zero_()
        flat.weight[0, 0, 3 * 1 + 2] = 1.0  # the node (0, d)
    errors = []
    for n in (32, 64):
        x, y = circle(n, dim=2).mesh()
        found = flat(torch.cos(k * x + k * y)[None, None], circle(n, dim=2))[0, 0]
        errors.append((found - share**2 * torch.cos(k * x + k * (y + d))).abs().max().item())
    assert math.log2(errors[0] / errors[1]) > 1.9 and errors[1] < 1e-3, errors
    with pytest.raises(ValueError, match="take a larger radius or fewer nodes"):
        IntegralKernel(1, 1, grid=trained, radius=0.1, n_nodes=3)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: UNO(p, n_modes=4, width=4, multipliers=(1, 2)),
        lambda p: LocalNO(p, n_modes=4, width=4, n_layers=2, radius=0.3),
        lambda p: LowRankNO(p, width=4, n_layers=2, rank=2, n_frequencies=2),
        lambda p: GraphKernelNO(p, width=3, n_layers=2, hidden=4, radius=0.3),
    ],
    ids=["UNO", "LocalNO", "LowRankNO", "GraphKernelNO"],
)
def test_on_a_bounded_plane_a_symmetric_problem_is_answered_at_every_resolution(make, generator):
    """Its value in the middle hardly depends on the grid, whatever is padded at the ends."""
    problem = plane(12)
    torch.manual_seed(0)
    model = make(problem).double().eval()
    values = []
    for n in (12, 24, 48):
        grid = problem.grid.with_shape((n, n))
        x, y = grid.mesh()
        a = 1 + 0.5 * torch.sin(math.pi * x) * torch.sin(math.pi * y)
        u = torch.zeros(1, 1, n, n, dtype=torch.float64)
        params = Parameters(torch.zeros(1, 0, dtype=torch.float64), a[None, None])
        with torch.no_grad():
            out = model.on(grid)(u, params)
        middle = out[0, 0, n // 2 - 1 : n // 2 + 1, n // 2 - 1 : n // 2 + 1]
        values.append(middle.mean().item())
    assert max(values) - min(values) < 0.02 * abs(values[2]), values


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="leave"):
        UNO(line(16), n_modes=8, multipliers=(1, 1, 1, 1))
    with pytest.raises(ValueError, match="would keep 0 modes"):
        UNO(line(64), n_modes=2, multipliers=(1, 1, 1))
    with pytest.raises(ValueError, match="more than the points"):
        LocalNO(line(16), n_modes=32)
    with pytest.raises(ValueError, match="holds no neighbour"):
        GraphKernelNO(line(16), radius=0.05)
