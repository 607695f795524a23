"""The other choice: read everything once and keep it, if it fits."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from duhamel.datasets.schema import Source
from duhamel.fields import Problem


@dataclass(frozen=True, kw_only=True)
class InMemory:
    """A source whose chosen trajectories lie in memory, in float32; the others cannot be read."""

    source: Source
    rows: dict[int, int]
    u: Float[np.ndarray, "trajectory time channel *space"] = field(compare=False)
    coefficients: Float[np.ndarray, "trajectory coefficient *space"] = field(compare=False)

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def problem(self) -> Problem:
        return self.source.problem

    @property
    def n_trajectories(self) -> int:
        return self.source.n_trajectories

    @property
    def n_times(self) -> int:
        return self.source.n_times

    @property
    def scalars(self) -> Float[np.ndarray, "trajectory param"]:
        return self.source.scalars

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.u.dtype

    @property
    def provenance(self) -> Mapping[str, Any]:
        return self.source.provenance

    def read(self, trajectory: int, start: int, stop: int) -> Float[np.ndarray, "time channel *space"]:
        """States start, ..., stop - 1, a copy."""
        return self.u[self._row(trajectory), start:stop].copy()

    def read_into(self, trajectory: int, start: int, stop: int, out: Float[np.ndarray, "time channel *space"]) -> None:
        """The same into a buffer of the caller, in the buffer's dtype."""
        out[...] = self.u[self._row(trajectory), start:stop]

    def read_coefficients(self, trajectory: int) -> Float[np.ndarray, "coefficient *space"]:
        """Parameter fields of one trajectory."""
        return self.coefficients[self._row(trajectory)]

    def _row(self, trajectory: int) -> int:
        if trajectory not in self.rows:
            raise ValueError(f"{self.path}: trajectory {trajectory} is not among the {len(self.rows)} in memory")
        return self.rows[trajectory]


def load(
    sources: Sequence[Source], trajectories: Sequence[Sequence[int]], *, budget: int | None = None
) -> tuple[InMemory, ...]:
    """Chosen trajectories of each source, read into memory.

    budget: bytes that they may take; half of the machine's memory where not given. ValueError, before anything is
        read, where they take more.
    """
    if budget is None:
        budget = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    shapes = []
    for source, chosen in zip(sources, trajectories, strict=True):
        space = source.problem.grid.shape
        shapes.append(
            (
                (len(chosen), source.n_times, len(source.problem.channels), *space),
                (len(chosen), len(source.problem.coefficients), *space),
            )
        )
    needed = sum(4 * int(np.prod(shape, dtype=np.int64)) for pair in shapes for shape in pair)
    if needed > budget:
        raise ValueError(
            f"in_memory: {sum(map(len, trajectories))} trajectories of {len(sources)} files "
            f"(the first is {sources[0].path}) take {needed / 2**30:.3g} GiB, {budget / 2**30:.3g} GiB are allowed; "
            "read lazily (in_memory=false), select fewer or coarser states, or raise memory_budget"
        )
    loaded = []
    for source, chosen, (states, fields) in zip(sources, trajectories, shapes, strict=True):
        u, coefficients = np.empty(states, np.float32), np.empty(fields, np.float32)
        for row, trajectory in enumerate(chosen):
            source.read_into(trajectory, 0, source.n_times, u[row])
            coefficients[row] = source.read_coefficients(trajectory)
        loaded.append(
            InMemory(source=source, rows={t: r for r, t in enumerate(chosen)}, u=u, coefficients=coefficients)
        )
    return tuple(loaded)
