"""Spectra: nothing is lost, and waves are found where they are."""

import math

import pytest
import torch

from duhamel import metrics
from duhamel.fields import Boundary, Centring, Grid

GRIDS = [
    Grid(shape=(17,), extent=(2.0,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE),
    Grid(shape=(12, 9), extent=(1.0, 3.0), boundary=(Boundary.PERIODIC, Boundary.WALL), centring=Centring.CELL),
    Grid(
        shape=(6, 8, 5),
        extent=(1.0, 2.0, 1.0),
        boundary=(Boundary.DIRICHLET, Boundary.PERIODIC, Boundary.PERIODIC),
        centring=Centring.NODE,
    ),
]


@pytest.mark.parametrize("grid", GRIDS, ids=["1d", "2d", "3d"])
def test_energy_is_the_mean_square(grid: Grid, generator: torch.Generator) -> None:
    u = torch.randn(2, 3, 2, *grid.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(
        metrics.energy_spectrum(u, grid).sum(3), u.square().flatten(3).mean(3), rtol=1e-13, atol=0
    )


@pytest.mark.parametrize("grid", GRIDS, ids=["1d", "2d", "3d"])
def test_bands_add_up_to_relative_l2(grid: Grid, generator: torch.Generator) -> None:
    target = torch.randn(3, 2, 2, *grid.shape, generator=generator, dtype=torch.float64)
    prediction = target + torch.randn(target.shape, generator=generator, dtype=torch.float64)
    bands = metrics.relative_l2_by_band(prediction, target, grid)
    total = torch.stack(list(bands.values())).square().sum(0).sqrt()
    torch.testing.assert_close(total, metrics.relative_l2(prediction, target), rtol=1e-13, atol=0)


def test_shell_counts_periods_over_the_longest_side() -> None:
    grid = Grid(shape=(16, 32), extent=(1.0, 3.0), boundary=(Boundary.PERIODIC,) * 2, centring=Centring.NODE)
    x, y = grid.mesh()
    for wave, shell in (
        (torch.sin(2 * math.pi * x), 3),
        (torch.sin(2 * math.pi * 4 * y / 3), 4),
        (torch.sin(2 * math.pi * (x + 4 * y / 3)), 5),
    ):
        spectrum = metrics.energy_spectrum(wave[None, None, None], grid).squeeze()
        assert int(spectrum.argmax()) == shell
        assert float(spectrum[shell]) == pytest.approx(0.5, rel=1e-13)


def test_a_smooth_field_between_walls_has_no_energy_at_high_wavenumbers() -> None:
    grid = Grid(shape=(64,), extent=(1.0,), boundary=(Boundary.DIRICHLET,), centring=Centring.CELL)
    ramp = grid.coordinates()[0][None, None, None]
    around = Grid(shape=(64,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=Centring.CELL)
    high = float(metrics.energy_spectrum(ramp, grid)[..., 12:].sum())
    jump = float(metrics.energy_spectrum(ramp, around)[..., 12:].sum())
    assert high < 1e-2 * jump, f"{high} against {jump} of a plain transform"


def test_bands_say_where_the_error_lies() -> None:
    grid = Grid(shape=(64,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    x = grid.coordinates()[0]
    target = torch.sin(2 * math.pi * x)[None, None, None]
    for wavenumber, band in ((3, "low"), (4, "mid"), (11, "mid"), (12, "high"), (31, "high")):
        prediction = target + 0.2 * torch.sin(2 * math.pi * wavenumber * x)
        for name, error in metrics.relative_l2_by_band(prediction, target, grid).items():
            assert float(error) == pytest.approx(0.2 if name == band else 0.0, rel=1e-13, abs=1e-14)


def test_field_must_lie_on_the_grid() -> None:
    with pytest.raises(ValueError, match="do not lie on a grid"):
        metrics.energy_spectrum(torch.zeros(1, 1, 1, 16), GRIDS[0])


@pytest.mark.parametrize("shape", [(64,), (16, 24), (8, 6, 9)])
def test_well_bins_add_up_to_the_mean_square_error(shape: tuple[int, ...], generator: torch.Generator) -> None:
    target = torch.randn(2, 2, 1, *shape, generator=generator, dtype=torch.float64)
    prediction = target + torch.randn(target.shape, generator=generator, dtype=torch.float64)
    error, ratio = metrics.well_binned_spectral_mse(prediction, target)
    torch.testing.assert_close(error.sum(3), metrics.mse(prediction, target), rtol=1e-13, atol=0)
    assert error.amin() > 0
    # Where the error is half the target, its energy is a quarter of the target's in every bin.
    _, quarter = metrics.well_binned_spectral_mse(1.5 * target, target)
    torch.testing.assert_close(quarter, torch.full_like(quarter, 0.25), rtol=1e-4, atol=0)
    assert ratio.shape == error.shape


def test_well_bins_hold_their_lower_edge() -> None:
    # 128 points: edges at 1, 4, 16 and 64 periods.
    x = torch.arange(128, dtype=torch.float64) / 128
    target = torch.zeros(1, 1, 1, 128, dtype=torch.float64)
    for periods, bin_ in ((1, 0), (3, 0), (5, 1), (15, 1), (17, 2), (63, 2)):
        wave = torch.sin(2 * math.pi * periods * x).expand_as(target)
        assert int(metrics.well_binned_spectral_mse(wave, target)[0].argmax()) == bin_


def test_apebench_band_without_wavenumbers_is_refused() -> None:
    with pytest.raises(ValueError, match="no wavenumber"):
        metrics.apebench_fourier_nrmse(torch.ones(1, 1, 1, 8), torch.ones(1, 1, 1, 8), low=5, high=9)


def test_pdebench_frmse_of_known_wave() -> None:
    x = torch.arange(64, dtype=torch.float64) / 64
    target = torch.zeros(3, 1, 1, 64, dtype=torch.float64)
    prediction = (0.8 * torch.sin(2 * math.pi * 5 * x)).expand_as(target)
    low, mid, high = metrics.pdebench_frmse(prediction, target).squeeze().tolist()
    assert mid == pytest.approx(0.4 / 8, rel=1e-13)  # |e_hat| = 0.4 at one of the eight wavenumbers 4 to 11
    assert max(low, high) < 1e-15
