"""Moments of the training trajectories, in one pass and bounded memory."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from duhamel.datasets.finite import require_finite_parameters, require_finite_states
from duhamel.datasets.schema import Source
from duhamel.fields import Moments, Statistics

# Values held at once while a trajectory is read, in float64 and a few copies of it.
BLOCK = 4_000_000


class _Running:
    """Count, mean and sum of squared deviations of each quantity, merged block by block.

    Source: Chan, Golub and LeVeque (1983), The American Statistician 37(3), eqs. (1.5).
    """

    def __init__(self, n_quantities: int) -> None:
        self.count = 0
        self.mean = np.zeros(n_quantities)
        self.squares = np.zeros(n_quantities)

    def add(self, values: Float[np.ndarray, "quantity value"]) -> None:
        n = values.shape[1]
        if n == 0:
            return
        mean = values.mean(axis=1)
        squares = ((values - mean[:, None]) ** 2).sum(axis=1)
        total, shift = self.count + n, mean - self.mean
        self.squares += squares + shift**2 * (self.count * n / total)
        self.mean += shift * (n / total)
        self.count = total

    @property
    def std(self) -> np.ndarray:
        return np.sqrt(self.squares / max(self.count, 1))


class Accumulator:
    """Population moments of several quantities, of values that come in blocks."""

    def __init__(self, n_quantities: int) -> None:
        self._values, self._logs = _Running(n_quantities), _Running(n_quantities)
        self._minimum = np.full(n_quantities, np.inf)
        self._maximum = np.full(n_quantities, -np.inf)
        self._positive = np.ones(n_quantities, dtype=bool)

    def add(
        self, values: Float[np.ndarray, "quantity value"], logs: Float[np.ndarray, "quantity value"] | None = None
    ) -> None:
        """logs: of each value; NaN where a quantity has none. The logarithms of `values` where not given."""
        values = values.astype(np.float64)
        self._values.add(values)
        if values.shape[1]:
            np.minimum(self._minimum, values.min(axis=1), out=self._minimum)
            np.maximum(self._maximum, values.max(axis=1), out=self._maximum)
        if logs is None:
            logs = logarithms(values)
        self._positive &= ~np.isnan(logs).any(axis=1)
        self._logs.add(np.where(self._positive[:, None], logs, 0.0))

    def moments(self) -> Moments:
        if self._values.count == 0 and len(self._minimum):
            raise ValueError("moments of no values at all")
        log_mean = np.where(self._positive, self._logs.mean, np.nan)
        log_std = np.where(self._positive, self._logs.std, np.nan)
        arrays = (self._values.mean, self._values.std, self._minimum, self._maximum, log_mean, log_std)
        return Moments(*(torch.from_numpy(a.copy()) for a in arrays))


def logarithms(values: Float[np.ndarray, "quantity *value"]) -> Float[np.ndarray, "quantity *value"]:
    """Natural logarithms; NaN all along a quantity that is anywhere zero or negative."""
    logs = np.full(values.shape, np.nan)
    for row, out in zip(values, logs, strict=True):
        if (row > 0).all():
            np.log(row, out=out)
    return logs


def training_statistics(sources: Sequence[Source], trajectories: Sequence[Sequence[int]]) -> Statistics:
    """Moments over the given trajectories of each source and no others.

    The guess of a stationary problem is not data: its states are the solutions alone.
    """
    problem = sources[0].problem
    channels, increments = Accumulator(len(problem.channels)), Accumulator(len(problem.channels))
    scalars, coefficients = Accumulator(len(problem.scalars)), Accumulator(len(problem.coefficients))
    frame = len(problem.channels) * int(np.prod(problem.grid.shape))
    for source, chosen in zip(sources, trajectories, strict=True):
        if not chosen:
            continue
        values = source.scalars
        first = 1 if problem.steady else 0
        n = max(1, BLOCK // frame)
        for trajectory in chosen:
            fields = source.read_coefficients(trajectory)
            require_finite_parameters(fields, values[trajectory], source, trajectory)
            if problem.coefficients:
                coefficients.add(fields.reshape(len(fields), -1))
            # Consecutive blocks share a state, so that no increment is missed.
            for start in range(first, source.n_times, n):
                read_from = max(start - 1, first)
                u = source.read(trajectory, read_from, min(start + n, source.n_times)).astype(np.float64)
                require_finite_states(u, source, trajectory, start=read_from)
                u = np.moveaxis(u, 1, 0).reshape(len(problem.channels), len(u), -1)
                overlap = 1 if start > first else 0
                channels.add(u[:, overlap:].reshape(len(u), -1))
                if problem.steady:
                    increments.add(u.reshape(len(u), -1))
                elif u.shape[1] > 1:
                    logs = np.diff(logarithms(u), axis=1)
                    increments.add(np.diff(u, axis=1).reshape(len(u), -1), logs.reshape(len(u), -1))
        scalars.add(values[list(chosen)].T)
    return Statistics(
        channels=channels.moments(),
        increments=increments.moments(),
        scalars=scalars.moments(),
        coefficients=coefficients.moments(),
    )
