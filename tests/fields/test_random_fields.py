"""Random fields against their covariance, and against themselves on other grids."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, GaussianField, Grid, LogNormalField, ThresholdedField, resample

PERIODIC, NEUMANN = Boundary.PERIODIC, Boundary.NEUMANN
FIELD = GaussianField(sigma=5.0, tau=3.0, alpha=2.0, n_modes=5)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grid(shape: tuple[int, ...], boundary: Boundary, extent: float = 1.0) -> Grid:
    n = len(shape)
    return Grid(shape=shape, extent=(extent,) * n, boundary=(boundary,) * n, centring=Centring.CELL)


@pytest.mark.parametrize("boundary", [PERIODIC, NEUMANN])
def test_one_seed_is_one_function_at_every_resolution(boundary: Boundary) -> None:
    coarse, fine = grid((12, 12), boundary), grid((36, 36), boundary)
    u = FIELD.sample(coarse, 2, generator())
    v = FIELD.sample(fine, 2, generator())
    # Each third cell centre of the fine grid is a centre of the coarse one.
    torch.testing.assert_close(v[:, 1::3, 1::3], u, atol=1e-12, rtol=0)
    assert u.std() > 0.1


def test_a_periodic_field_is_band_limited() -> None:
    coarse, fine = grid((11,), PERIODIC, 2.0), grid((64,), PERIODIC, 2.0)
    u, v = (FIELD.sample(g, 3, generator()).unsqueeze(1) for g in (coarse, fine))
    torch.testing.assert_close(resample(u, coarse, fine), v, atol=1e-12, rtol=0)


def test_a_sample_does_not_depend_on_how_many_follow() -> None:
    line = grid((16,), PERIODIC)
    torch.testing.assert_close(FIELD.sample(line, 9, generator())[:2], FIELD.sample(line, 2, generator()))


@pytest.mark.parametrize("extent", [1.0, 2.5])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_standard_deviations_follow_the_closed_form(ndim: int, extent: float) -> None:
    std = FIELD.standard_deviations(grid((12,) * ndim, NEUMANN, extent))
    index = (2, 3, 1)[:ndim]
    square = sum((math.pi * j / extent) ** 2 for j in index)
    assert float(std[index]) == pytest.approx(5.0 * (square + 9.0) ** -1.0, rel=1e-13)
    assert float(std[(0,) * ndim]) == pytest.approx(5.0 / 9.0, rel=1e-13)


def test_pointwise_variance_on_a_circle() -> None:
    """Stationary there: sigma^2 / L sum over |j| <= m of ((2 pi j / L)^2 + tau^2)^-alpha."""
    extent, n_samples = 2.0, 20_000
    u = FIELD.sample(grid((16,), PERIODIC, extent), n_samples, generator())
    exact = 25 / extent * sum(((2 * math.pi * j / extent) ** 2 + 9) ** -2 for j in range(-5, 6))
    # The relative standard error of a variance is sqrt(2 / n) = 1 %: four of them.
    assert ((u**2).mean(dim=0) / exact - 1).abs().max() < 4 * math.sqrt(2 / n_samples)
    assert u.mean(dim=0).abs().max() < 4 * math.sqrt(exact / n_samples)


def test_covariance_on_an_interval() -> None:
    line = grid((8,), NEUMANN)
    n_samples = 20_000
    u = FIELD.sample(line, n_samples, generator())
    x = line.coordinates()[0]
    exact = torch.full((8, 8), 25 / 81, dtype=torch.float64)
    for j in range(1, 6):
        phi = math.sqrt(2) * torch.cos(math.pi * j * x)
        exact += 25 * ((math.pi * j) ** 2 + 9) ** -2 * torch.outer(phi, phi)
    covariance = u.T @ u / n_samples
    variance = exact.diagonal()
    bound = 4 * torch.sqrt((exact**2 + torch.outer(variance, variance)) / n_samples)
    assert ((covariance - exact).abs() < bound).all()


def test_mean_and_constant_mode() -> None:
    field = GaussianField(sigma=2.0, tau=0.0, alpha=1.0, n_modes=3, mean=7.0, zero_mean=True)
    u = field.sample(grid((9, 9), PERIODIC), 4, generator())
    torch.testing.assert_close(u.mean(dim=(1, 2)), torch.full((4,), 7.0, dtype=torch.float64), atol=1e-12, rtol=0)
    with pytest.raises(ValueError, match="infinite variance"):
        GaussianField(sigma=2.0, tau=0.0, alpha=1.0, n_modes=3)


def test_fields_made_of_a_gaussian_one() -> None:
    square = grid((10, 10), NEUMANN)
    u = FIELD.sample(square, 3, generator())
    materials = ThresholdedField(field=FIELD, above=12.0, below=3.0).sample(square, 3, generator())
    assert torch.equal(materials == 12.0, u >= 0) and torch.equal(materials == 3.0, u < 0)
    assert materials.unique().tolist() == [3.0, 12.0]
    log_normal = LogNormalField(field=FIELD, median=2.0).sample(square, 3, generator())
    torch.testing.assert_close(torch.log(log_normal / 2.0), u)
