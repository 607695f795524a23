"""Windows of consecutive states, read when they are asked for, a batch at a time."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from duhamel.datasets.schema import Source
from duhamel.fields import Parameters, Trajectory


class Windows(Dataset[Trajectory]):
    """All windows of `length` states in chosen trajectories of several sources on one grid.

    Windows are ordered by source, trajectory and time. It holds no handle and no data: memory grows with the batch.

    trajectories: for each source, which of its trajectories.
    length: states a window holds; None for whole trajectories.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        trajectories: Sequence[Sequence[int]],
        *,
        length: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.sources = tuple(sources)
        self.trajectories = tuple(tuple(chosen) for chosen in trajectories)
        if len(self.sources) != len(self.trajectories) or not self.sources:
            raise ValueError(f"{len(self.sources)} sources given, trajectories for {len(self.trajectories)}")
        self.length = self.sources[0].n_times if length is None else length
        for source in self.sources:
            if not 2 <= self.length <= source.n_times:
                raise ValueError(
                    f"{source.path}: window of {self.length} states asked for, trajectories have {source.n_times}; "
                    "a window holds at least 2"
                )
        self.dtype = dtype
        problem = self.sources[0].problem
        self.grid, self.dt = problem.grid, problem.dt
        space, self._n_coefficients = problem.grid.shape, len(problem.coefficients)
        # Of one window: states, coefficients, scalars.
        self.shapes = (
            (self.length, len(problem.channels), *space),
            (self._n_coefficients, *space),
            (len(problem.scalars),),
        )
        self._per_trajectory = [source.n_times - self.length + 1 for source in self.sources]
        # First window of each source, and the end.
        counts = [n * len(c) for n, c in zip(self._per_trajectory, self.trajectories, strict=True)]
        self._starts = [0, *accumulate(counts)]
        # One row a chosen trajectory, source after source.
        rows = [source.scalars[list(c)] for source, c in zip(self.sources, self.trajectories, strict=True)]
        self._scalars = torch.from_numpy(np.concatenate(rows)).to(dtype)
        self._first_row = [0, *accumulate(len(c) for c in self.trajectories)]

    def __len__(self) -> int:
        return self._starts[-1]

    def locate(self, index: int) -> tuple[int, int, int]:
        """(source, trajectory in it, first state) of a window."""
        i, n, start = self._locate(index)
        return i, self.trajectories[i][n], start

    def _locate(self, index: int) -> tuple[int, int, int]:
        """(source, which of its chosen trajectories, first state)."""
        if not 0 <= index < self._starts[-1]:
            raise IndexError(f"window {index} of {len(self)}")
        i = bisect_right(self._starts, index) - 1
        return i, *divmod(index - self._starts[i], self._per_trajectory[i])

    def __getitem__(self, index: int) -> Trajectory:
        return self.batch([index])

    def __getitems__(self, indices: Sequence[int]) -> Trajectory:
        return self.batch(indices)

    def batch(self, indices: Sequence[int]) -> Trajectory:
        """Windows of these indices, in memory of their own."""
        u, fields, scalars = (torch.empty(len(indices), *shape, dtype=self.dtype) for shape in self.shapes)
        self.fill(indices, u, fields, scalars)
        return Trajectory(u, Parameters(scalars, fields), self.grid, self.dt)

    def fill(
        self,
        indices: Sequence[int],
        u: Float[Tensor, "batch time channel *space"],
        fields: Float[Tensor, "batch coefficient *space"],
        scalars: Float[Tensor, "batch param"],
    ) -> None:
        """Read each window straight to its place in a batch."""
        u_out, fields_out = u.numpy(), fields.numpy()
        rows = []
        for index, states, coefficients in zip(indices, u_out, fields_out, strict=True):
            i, n, start = self._locate(index)
            source, trajectory = self.sources[i], self.trajectories[i][n]
            source.read_into(trajectory, start, start + self.length, states)
            if self._n_coefficients:
                coefficients[...] = source.read_coefficients(trajectory)
            rows.append(self._first_row[i] + n)
        scalars.copy_(self._scalars[rows])


def collated(batch: Any) -> Any:
    """A batch comes from `Windows` collated; a module-level function, so that spawned workers find it."""
    return batch


class EpochShuffle(Sampler[int]):
    """A random order of n windows that depends on (seed, epoch) alone: a resumed run goes on as it would have."""

    def __init__(self, n: int, *, seed: int) -> None:
        self.n, self.seed, self.epoch = n, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        # Nested: two streams of the same sum (seed 0, epoch 1 and seed 1, epoch 0) must not be the same order.
        seeds = torch.Generator().manual_seed(self.seed)
        stream = int(torch.randint(2**62, (1,), generator=seeds)) ^ self.epoch
        yield from torch.randperm(self.n, generator=torch.Generator().manual_seed(stream)).tolist()
