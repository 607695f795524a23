"""Errors of known fields, in float64."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from duhamel import metrics
from duhamel.fields import Boundary, Centring, Grid
from duhamel.metrics.states import pair

ALL = [
    metrics.brmse,
    metrics.correlation,
    metrics.crmse,
    metrics.mae,
    metrics.max_error,
    metrics.mse,
    metrics.nmae,
    metrics.nmse,
    metrics.nrmse,
    metrics.pearson,
    metrics.relative_l2,
    metrics.relative_l2_by_channel,
    metrics.relative_l2_by_time,
    metrics.rmse,
    metrics.smae,
    metrics.srmse,
    metrics.vrmse,
]
SCALE_FREE = [metrics.correlation, metrics.nmae, metrics.nmse, metrics.nrmse, metrics.relative_l2, metrics.smae]


def periodic(*shape: int, extent: float = 1.0) -> Grid:
    n = len(shape)
    return Grid(shape=shape, extent=(extent,) * n, boundary=(Boundary.PERIODIC,) * n, centring=Centring.NODE)


def random_pair(generator: torch.Generator, *shape: int) -> tuple[Tensor, Tensor]:
    target = torch.randn(shape, generator=generator, dtype=torch.float64)
    return target + 0.1 * torch.randn(shape, generator=generator, dtype=torch.float64), target


def test_errors_of_a_known_sine() -> None:
    x = periodic(64).coordinates()[0]
    target = torch.sin(2 * math.pi * x).expand(2, 3, 1, 64)
    prediction = target + 0.1 * torch.cos(6 * math.pi * x)  # orthogonal to the target, of a tenth of its size
    value = {
        metrics.mse: 0.01 / 2,
        metrics.rmse: 0.1 / math.sqrt(2),
        metrics.nmse: 0.01,
        metrics.nrmse: 0.1,
        metrics.relative_l2: 0.1,
        metrics.max_error: 0.1,
        metrics.crmse: 0.0,
        metrics.vrmse: 0.1 * math.sqrt(63 / 64),
        metrics.correlation: 1 / math.sqrt(1.01),
        metrics.pearson: 63 / 64 / math.sqrt(1.01),
    }
    for function, expected in value.items():
        result = function(prediction, target)
        torch.testing.assert_close(result, torch.full_like(result, expected), rtol=3e-7, atol=1e-15)


def test_relative_l2_is_not_nrmse_where_the_state_decays() -> None:
    target = torch.ones(1, 2, 1, 8, dtype=torch.float64)
    target[:, 1] = 0.1
    prediction = target + 0.1
    assert float(metrics.relative_l2(prediction, target)) == pytest.approx(math.sqrt(0.02 / 1.01), rel=1e-14)
    assert float(metrics.nrmse(prediction, target).mean()) == pytest.approx((0.1 + 1.0) / 2, rel=1e-14)


@pytest.mark.parametrize("function", SCALE_FREE)
def test_relative_errors_do_not_depend_on_the_unit(
    function: Callable[[Tensor, Tensor], Tensor], generator: torch.Generator
) -> None:
    prediction, target = random_pair(generator, 2, 3, 2, 8, 6)
    torch.testing.assert_close(function(1e3 * prediction, 1e3 * target), function(prediction, target))


@pytest.mark.parametrize("function", ALL)
def test_each_sample_stands_for_itself(
    function: Callable[[Tensor, Tensor], Tensor], generator: torch.Generator
) -> None:
    prediction, target = random_pair(generator, 3, 2, 2, 6, 5)
    prediction[1] = torch.nan
    result = function(prediction, target)
    assert result[1].isnan().all(), "a prediction that is NaN was dropped"
    for sample in (0, 2):
        alone = function(prediction[sample : sample + 1], target[sample : sample + 1])[0]
        torch.testing.assert_close(result[sample], alone, rtol=1e-14, atol=0)


@pytest.mark.parametrize("shape", [(2, 1, 1, 8), (2, 3, 1, 9), (3, 1, 8)])
def test_shapes_are_not_broadcast(shape: tuple[int, ...]) -> None:
    # The checker of annotations is for tests alone, so the function that all errors begin with has to refuse.
    with pytest.raises(ValueError, match="must both be"):
        pair(torch.ones(2, 3, 1, 8), torch.ones(shape))


def test_zero_targets_give_what_the_docstring_says() -> None:
    zero = torch.zeros(1, 1, 1, 4, dtype=torch.float64)
    assert metrics.relative_l2(zero + 1, zero).isinf().all()
    assert metrics.relative_l2(zero, zero).isnan().all()
    assert float(metrics.vrmse(zero + 1, zero)) == pytest.approx(math.sqrt(1 / 1e-7))
    assert float(metrics.nmse(zero + 1, zero, eps=1e-7)) == pytest.approx(1e7)


def test_half_precision_is_computed_in_float32() -> None:
    target = torch.full((1, 1, 1, 512), 300.0, dtype=torch.float16)  # its square overflows float16
    assert metrics.rmse(target + 1, target).item() == pytest.approx(1.0)
    assert metrics.relative_l2(target * 2, target).item() == pytest.approx(1.0)


def test_boundary_error_counts_faces() -> None:
    target = torch.zeros(1, 1, 1, 4, 6, dtype=torch.float64)
    prediction = target.clone()
    prediction[..., 1:-1, 1:-1] = 9.0  # inside: not seen
    prediction[..., 0, 2] = 2.0  # on one face
    prediction[..., -1, -1] = 1.0  # a corner: on two faces
    expected = math.sqrt((4 + 2 * 1) / (2 * 4 + 2 * 6))
    assert float(metrics.brmse(prediction, target)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("extent", [1.0, 2 * math.pi])
def test_h1_of_known_waves(extent: float) -> None:
    grid = periodic(16, 24, extent=extent)
    x, y = grid.mesh()
    k = 2 * math.pi / extent
    target = torch.sin(k * x)[None, None, None]
    prediction = target + 0.1 * torch.cos(3 * k * y)[None, None, None]
    expected = 0.1 * math.sqrt((1 + 9 * k**2) / (1 + k**2))
    assert float(metrics.h1(prediction, target, grid)) == pytest.approx(expected, rel=1e-13)


def test_h1_sees_the_nyquist_wave() -> None:
    grid = periodic(16)
    target = torch.sin(2 * math.pi * grid.coordinates()[0])[None, None, None]
    zigzag = 0.01 * (-1.0) ** torch.arange(16, dtype=torch.float64)
    expected = math.sqrt(1e-4 * (1 + (16 * math.pi) ** 2) / (0.5 * (1 + (2 * math.pi) ** 2)))
    assert float(metrics.h1(target + zigzag, target, grid)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("centring", list(Centring))
def test_gradient_energy_on_open_axes_is_of_second_order(centring: Centring) -> None:
    errors = []
    for n in (32, 64, 128):
        grid = Grid(
            shape=(n, n + 3), extent=(1.0, 2.0), boundary=(Boundary.DIRICHLET, Boundary.NEUMANN), centring=centring
        )
        x, y = grid.mesh()
        # Means over nodes weigh the ends fully and converge at first order: compare with the same mean of the slope.
        exact = (torch.exp(x).square() + torch.sin(y).square()).mean()
        u = (torch.exp(x) - torch.cos(y))[None, None, None]
        errors.append(abs(float(metrics.gradient_energy(u, grid)) - float(exact)))
    orders = [math.log2(coarse / fine) for coarse, fine in zip(errors, errors[1:], strict=False)]
    assert min(orders) > 1.7, f"orders {orders} of errors {errors}"


def test_h1_has_gradients(generator: torch.Generator) -> None:
    prediction, target = random_pair(generator, 1, 1, 1, 6, 5)
    grid = Grid(shape=(6, 5), extent=(1.0, 1.0), boundary=(Boundary.PERIODIC, Boundary.OPEN), centring=Centring.CELL)
    assert torch.autograd.gradcheck(lambda p: metrics.h1(p, target, grid), prediction.requires_grad_())
