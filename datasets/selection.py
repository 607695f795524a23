"""A source seen at fewer times or points: decimated after one contiguous read, which is faster than a strided one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from duhamel.datasets.schema import Source
from duhamel.fields import Problem


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Every `time_stride`-th state, at most `n_times` of those, on every `space_stride`-th point of each axis.

    Plain decimation: samples keep their values and positions, nothing is filtered.
    """

    source: Source
    n_times: int
    time_stride: int = 1
    space_stride: int = 1

    def __post_init__(self) -> None:
        if self.time_stride < 1 or self.space_stride < 1:
            raise ValueError(f"strides must be positive, got {self.time_stride} in time, {self.space_stride} in space")
        if self.source.problem.steady and (self.time_stride != 1 or self.n_times != 2):
            raise ValueError(f"{self.path}: a stationary problem has no times to select (it is guess and solution)")
        try:
            self.source.problem.grid.strided(self.space_stride)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error
        available = -(-self.source.n_times // self.time_stride)
        if not 2 <= self.n_times <= available:
            raise ValueError(
                f"{self.path}: {self.n_times} states asked for, trajectories have {available} at time stride "
                f"{self.time_stride} ({self.source.n_times} in the file); at least 2 are needed"
            )

    @property
    def path(self) -> Path:
        return self.source.path

    @cached_property
    def problem(self) -> Problem:
        problem = self.source.problem
        return replace(problem, grid=problem.grid.strided(self.space_stride), dt=problem.dt * self.time_stride)

    @property
    def n_trajectories(self) -> int:
        return self.source.n_trajectories

    @property
    def scalars(self) -> Float[np.ndarray, "trajectory param"]:
        return self.source.scalars

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.source.dtype

    @property
    def provenance(self) -> Mapping[str, Any]:
        return self.source.provenance

    def read(self, trajectory: int, start: int, stop: int) -> Float[np.ndarray, "time channel *space"]:
        """States start, ..., stop - 1 of the selected ones."""
        if not 0 <= start < stop <= self.n_times:
            raise ValueError(f"{self.path}: states {start}:{stop} asked for, {self.n_times} are selected")
        block = self.source.read(trajectory, start * self.time_stride, (stop - 1) * self.time_stride + 1)
        return block[(slice(None, None, self.time_stride), slice(None), *self._points)]

    def read_into(self, trajectory: int, start: int, stop: int, out: Float[np.ndarray, "time channel *space"]) -> None:
        """The same into a C-contiguous buffer of the caller, in the buffer's dtype."""
        if self.time_stride == self.space_stride == 1 and stop <= self.n_times:
            self.source.read_into(trajectory, start, stop, out)
        else:
            out[...] = self.read(trajectory, start, stop)

    def read_coefficients(self, trajectory: int) -> Float[np.ndarray, "coefficient *space"]:
        """Parameter fields of one trajectory on the selected points."""
        return self.source.read_coefficients(trajectory)[(slice(None), *self._points)]

    @property
    def _points(self) -> tuple[slice, ...]:
        return (slice(None, None, self.space_stride),) * self.source.problem.grid.ndim


def select(source: Source, *, n_times: int | None = None, time_stride: int = 1, space_stride: int = 1) -> Source:
    """A `Selection`; the source itself where there is nothing to select. n_times counts states after striding."""
    if n_times is None and time_stride == space_stride == 1:
        return source
    if n_times is None:
        n_times = 2 if source.problem.steady else -(-source.n_times // max(time_stride, 1))
    return Selection(source=source, n_times=n_times, time_stride=time_stride, space_stride=space_stride)
