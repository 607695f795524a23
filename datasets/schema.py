"""The one form in which every file is seen: trajectories of a problem, read slice by slice."""

from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float

from duhamel.fields import Problem


class Source(Protocol):
    """Trajectories in one file, whatever its layout on disk.

    A source is cheap to make (it reads attributes and shapes, not data), picklable, and safe in forked and spawned
    workers: it holds no open handle of its own but asks `duhamel.datasets.handles` for one.

    problem: names, grid and dt of what the file holds.
    n_trajectories, n_times: n_times counts states, the first included; 2 for a stationary problem (guess, solution).
    scalars: parameters of each trajectory, in the order of `problem.scalars`.
    """

    path: Path
    problem: Problem
    n_trajectories: int
    n_times: int
    scalars: Float[np.ndarray, "trajectory param"]

    def read(self, trajectory: int, start: int, stop: int) -> Float[np.ndarray, "time channel *space"]:
        """States start, ..., stop - 1 of one trajectory; contiguous slices only."""
        ...

    def read_coefficients(self, trajectory: int) -> Float[np.ndarray, "coefficient *space"]:
        """Parameter fields of one trajectory; zero-width where the problem has none."""
        ...
