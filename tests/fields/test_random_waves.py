"""Waves are functions, not arrays: one seed, one function; and they are what the benchmarks say."""

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid, PickedWaves, TruncatedFourier
from duhamel.fields.fourier_space import FourierSpace


def circle(*shape: int) -> Grid:
    n = len(shape)
    return Grid(shape=shape, extent=(2.0,) * n, boundary=(Boundary.PERIODIC,) * n, centring=Centring.NODE)


def test_one_seed_is_one_function_on_every_grid() -> None:
    for field in (PickedWaves(), TruncatedFourier(max_one=False)):
        fine, coarse = (field.sample(circle(n), 20, torch.Generator().manual_seed(1)) for n in (96, 32))
        assert torch.allclose(fine[:, ::3], coarse, atol=1e-12)
        assert torch.allclose(field.sample(circle(32), 3, torch.Generator().manual_seed(1)), coarse[:3])


def test_picked_waves_are_two_of_four_or_one_of_twice_the_wavenumber(generator: torch.Generator) -> None:
    u = PickedWaves(absolute=0.0, window=0.0).sample(circle(64), 400, generator)
    modes = torch.fft.rfft(u).abs() / 32
    present = modes[:, 1:] > 1e-9
    assert bool((present.sum(1) <= 2).all())
    twice = ~present[:, :4].any(1) | (present.sum(1) == 1)
    assert 0.15 < float(twice.double().mean()) < 0.35, "the same wave twice, one time in four"
    assert set(present.any(0).nonzero()[:, 0].add(1).tolist()) == {1, 2, 3, 4, 6, 8}
    assert float(modes[:, 1:].max()) <= 1 and abs(float(u.mean())) < 0.1, "amplitudes below 1, signs at random"


def test_a_tenth_is_rectified_and_a_tenth_is_windowed() -> None:
    plain, altered = (
        PickedWaves(absolute=a, window=w).sample(circle(64), 1, torch.Generator().manual_seed(5))[0]
        for a, w in ((0.0, 0.0), (1.0, 1.0))
    )
    inside = slice(int(0.5 * 64), int(0.54 * 64))
    assert torch.allclose(altered[inside].abs(), plain[inside].abs(), atol=1e-2)
    assert float(altered[:3].abs().max()) < 1e-4 and bool((altered >= 0).all() | (altered <= 0).all())


@pytest.mark.parametrize("shape", [(32,), (16, 16)])
def test_truncated_series_end_at_the_cutoff(shape: tuple[int, ...], generator: torch.Generator) -> None:
    grid = circle(*shape)
    u = TruncatedFourier(cutoff=3).sample(grid, 4, generator)
    v = FourierSpace(grid).modes(u.unsqueeze(1))
    j = [torch.fft.fftfreq(n, 1 / n).abs() for n in shape[:-1]] + [torch.fft.rfftfreq(shape[-1], 1 / shape[-1])]
    beyond = torch.zeros(v.shape[2:], dtype=torch.bool)
    for axis, of_axis in enumerate(j):
        beyond |= (of_axis > 3).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    assert float(v.abs()[:, 0, beyond].max()) < 1e-10 and float(v[:, 0].flatten(1)[:, 0].abs().max()) < 1e-10
    assert torch.allclose(u.flatten(1).abs().amax(1), torch.ones(4, dtype=torch.float64))
