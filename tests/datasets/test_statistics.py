"""Streaming moments are the moments of the training trajectories, and of nothing else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from duhamel.datasets import open_source, statistics
from duhamel.datasets.arrays import ArraySource
from duhamel.datasets.selection import select
from duhamel.datasets.statistics import Accumulator, training_statistics

RNG = np.random.default_rng(0)


def close(actual: torch.Tensor, wanted: object) -> None:
    assert actual.dtype == torch.float64
    np.testing.assert_allclose(actual.numpy(), np.atleast_1d(np.asarray(wanted)), rtol=1e-12, atol=1e-14)


@pytest.fixture
def sources(burgers_like: Callable[..., Path]) -> list[ArraySource]:
    files = []
    for nu in (0.1, 0.4):
        u = 1e3 + RNG.standard_normal((6, 11, 16))
        u[[0, 3]] = np.nan  # whoever reads these reads what it must not
        files.append(open_source(burgers_like(f"{nu}.hdf5", attrs={"Nu": nu}, values=u)))
    return files


@pytest.mark.parametrize("block", [16, 48, 4_000_000])
def test_moments_equal_those_of_all_values_at_once(
    sources: list[ArraySource], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "BLOCK", block)
    chosen = [(1, 2), (5, 4, 1)]
    found = training_statistics(sources, chosen)
    u = np.concatenate([[s.read(i, 0, 11) for i in part] for s, part in zip(sources, chosen, strict=True)])
    u = u.astype(np.float64)
    for moments, values in (
        (found.channels, u),
        (found.increments, np.diff(u, axis=1)),
        (found.scalars, np.repeat([0.1, 0.4], [2, 3]) / np.pi),
    ):
        close(moments.mean, values.mean())
        close(moments.std, values.std())
        close(moments.minimum, values.min())
        close(moments.maximum, values.max())
    close(found.channels.log_mean, np.log(u).mean())
    close(found.channels.log_std, np.log(u).std())
    close(found.increments.log_mean, np.diff(np.log(u), axis=1).mean())
    close(found.increments.log_std, np.diff(np.log(u), axis=1).std())
    assert found.coefficients.mean.shape == (0,)


def test_nan_in_training_names_file_and_trajectory(sources: list[ArraySource]) -> None:
    with pytest.raises(ValueError, match=r"0.4.hdf5: channel .* of trajectory 3 is NaN or infinite, first at t = 0 "):
        training_statistics(sources, [(1,), (3,)])


def test_logarithms_only_where_all_is_positive() -> None:
    accumulator = Accumulator(2)
    accumulator.add(np.array([[1.0, 2.0], [1.0, 2.0]]))
    accumulator.add(np.array([[4.0, 8.0], [0.0, 8.0]]))
    moments = accumulator.moments()
    np.testing.assert_allclose(moments.log_mean, [1.5 * np.log(2), np.nan])
    np.testing.assert_allclose(moments.log_std, [np.sqrt(1.25) * np.log(2), np.nan])


def test_many_small_blocks_lose_no_digits() -> None:
    values = 1e6 + RNG.standard_normal((1, 3000))
    accumulator = Accumulator(1)
    for part in np.array_split(values, 997, axis=1):
        accumulator.add(part)
    np.testing.assert_allclose(accumulator.moments().std, values.std(axis=1), rtol=1e-9)


def test_the_guess_of_a_stationary_problem_is_not_data(darcy_file: Path) -> None:
    source = open_source(darcy_file)
    found = training_statistics([source], [(1, 6)])
    u = np.stack([source.read(i, 1, 2) for i in (1, 6)]).astype(np.float64)
    a = np.stack([source.read_coefficients(i) for i in (1, 6)]).astype(np.float64)
    for moments, values in ((found.channels, u), (found.increments, u), (found.coefficients, a)):
        close(moments.mean, values.mean())
        close(moments.std, values.std())
        close(moments.log_mean, np.log(values).mean())


def test_increments_are_over_the_selected_time_step(sources: list[ArraySource]) -> None:
    coarse = select(sources[0], time_stride=5)
    u = sources[0].read(1, 0, 11)[::5].astype(np.float64)
    close(training_statistics([coarse], [(1,)]).increments.std, np.diff(u, axis=0).std())
