"""The one form in which every file is seen: trajectories of a problem, read slice by slice."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from duhamel.fields import Problem


@runtime_checkable
class Source(Protocol):
    """Trajectories in one file, whatever its layout on disk.

    A source is cheap to make (it reads attributes and shapes, not data), picklable, and safe in forked and spawned
    workers: it holds no open handle of its own but asks `duhamel.datasets.handles` for one.
    """

    @property
    def path(self) -> Path: ...

    @property
    def problem(self) -> Problem:
        """Names, grid and dt of what the file holds."""
        ...

    @property
    def n_trajectories(self) -> int: ...

    @property
    def n_times(self) -> int:
        """States of a trajectory, the first included; 2 for a stationary problem (guess, solution)."""
        ...

    @property
    def scalars(self) -> Float[np.ndarray, "trajectory param"]:
        """Parameters of each trajectory, in the order of `problem.scalars`, in float64."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the stored states, float32 or float64."""
        ...

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What the file says about its making; empty where it says nothing."""
        ...

    def read(self, trajectory: int, start: int, stop: int) -> Float[np.ndarray, "time channel *space"]:
        """States start, ..., stop - 1 of one trajectory; contiguous slices only."""
        ...

    def read_into(self, trajectory: int, start: int, stop: int, out: Float[np.ndarray, "time channel *space"]) -> None:
        """The same into a C-contiguous buffer of the caller, in the buffer's dtype."""
        ...

    def read_coefficients(self, trajectory: int) -> Float[np.ndarray, "coefficient *space"]:
        """Parameter fields of one trajectory; zero-width where the problem has none."""
        ...
