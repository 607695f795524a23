"""Trajectories that lie in HDF5 arrays: every format is a table of which array and axis mean what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float

from duhamel.datasets import handles
from duhamel.fields import Problem

SAMPLE, TIME, COMPONENT = "sample", "time", "component"


@dataclass(frozen=True)
class Variable:
    """One array of a file, and what its axes are.

    dataset: its path in the file; `{trajectory}` in it stands for the name of the trajectory's group.
    axes: one name an axis in the order on disk: "sample", "time", "component" (of a vector, twice for a tensor) or a
        spatial axis. A variable without a sample axis is the same for all samples; without a spatial axis, constant
        along it.
    n_components: channels (or coefficients) it yields.
    """

    dataset: str
    axes: tuple[str, ...]
    n_components: int = 1


@dataclass(frozen=True, kw_only=True)
class ArraySource:
    """A `Source` over arrays (`duhamel.datasets.schema`).

    space: names of the spatial axes in the order of `problem.grid`; arrays that store another order are transposed.
    states, coefficients: arrays in the order of the problem's channels and coefficients.
    groups: where every trajectory has a group of its own, their names; else empty.
    """

    path: Path
    problem: Problem
    n_trajectories: int
    n_times: int
    scalars: Float[np.ndarray, "trajectory param"] = field(compare=False)
    space: tuple[str, ...]
    states: tuple[Variable, ...]
    coefficients: tuple[Variable, ...] = ()
    groups: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        expected = (self.n_trajectories, len(self.problem.scalars))
        if self.scalars.shape != expected:
            raise ValueError(f"{self.path}: scalars of shape {self.scalars.shape}, expected {expected}")
        for name, variables, quantities in (
            ("channels", self.states, self.problem.channels),
            ("coefficients", self.coefficients, self.problem.coefficients),
        ):
            if sum(v.n_components for v in variables) != len(quantities):
                raise ValueError(f"{self.path}: arrays do not hold the {name} {[q.name for q in quantities]}")

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        # The file itself is asked, not the cache: making a source must not leave a handle open.
        with h5py.File(self.path, "r", locking="best-effort") as file:
            stored = [file[self._name(v, 0)].dtype for v in self.states]
        return np.dtype(np.float64 if any(d == np.float64 for d in stored) else np.float32)

    def read(self, trajectory: int, start: int, stop: int) -> Float[np.ndarray, "time channel *space"]:
        """States start, ..., stop - 1 of one trajectory."""
        out = np.empty((stop - start, len(self.problem.channels), *self.problem.grid.shape), dtype=self.dtype)
        self.read_into(trajectory, start, stop, out)
        return out

    def read_into(self, trajectory: int, start: int, stop: int, out: Float[np.ndarray, "time channel *space"]) -> None:
        """The same into a C-contiguous buffer of the caller, in the buffer's dtype."""
        self._check(trajectory)
        if not 0 <= start < stop <= self.n_times:
            raise ValueError(f"{self.path}: states {start}:{stop} asked for, trajectories have {self.n_times}")
        if self.problem.steady:
            # State 0 is the guess, which no file stores; the solution is the only stored state.
            out[: 1 - start] = 0
            if stop == 1:
                return
            out, start, stop = out[1 - start :], 0, 1
        self._fill(self.states, trajectory, start, stop, out)

    def read_coefficients(self, trajectory: int) -> Float[np.ndarray, "coefficient *space"]:
        """Parameter fields of one trajectory; zero-width where the problem has none."""
        self._check(trajectory)
        out = np.empty((1, len(self.problem.coefficients), *self.problem.grid.shape), dtype=self.dtype)
        self._fill(self.coefficients, trajectory, 0, 1, out)
        return out[0]

    def _check(self, trajectory: int) -> None:
        if not 0 <= trajectory < self.n_trajectories:
            raise ValueError(f"{self.path}: trajectory {trajectory} asked for, the file holds {self.n_trajectories}")

    def _name(self, variable: Variable, trajectory: int) -> str:
        return variable.dataset.format(trajectory=self.groups[trajectory]) if self.groups else variable.dataset

    def _fill(
        self,
        variables: tuple[Variable, ...],
        trajectory: int,
        start: int,
        stop: int,
        out: Float[np.ndarray, "time channel *space"],
    ) -> None:
        first = 0
        for variable in variables:
            name = self._name(variable, trajectory)
            stored = handles.dataset(self.path, name)
            offset = tuple({SAMPLE: trajectory, TIME: start}.get(axis, 0) for axis in variable.axes)
            count = tuple(
                {SAMPLE: 1, TIME: stop - start}.get(axis, n)
                for axis, n in zip(variable.axes, stored.shape, strict=True)
            )
            last = first + variable.n_components
            try:
                if self._in_order(variable) and stored.dtype.kind == "f":
                    _read_block(stored, offset, count, out, (0, first), (stop - start, variable.n_components))
                else:
                    block = np.empty(count, dtype=out.dtype)
                    _read_converted(stored, offset, count, block)
                    out[:, first:last] = self._arranged(block, variable)
            except OSError as error:
                raise OSError(f"{self.path}, dataset {name!r}: {error}. {_hint(stored)}") from error
            first = last

    def _in_order(self, variable: Variable) -> bool:
        """Whether the array's elements come in the order of a state, so that HDF5 can write them where they belong."""
        kept = tuple(axis for axis in variable.axes if axis != SAMPLE)
        return kept in ((TIME, *self.space), (TIME, COMPONENT, *self.space))

    def _arranged(self, block: np.ndarray, variable: Variable) -> np.ndarray:
        """Axes in the order time, component, space; absent ones of length 1."""
        wanted = (TIME, *(axis for axis in variable.axes if axis == COMPONENT), *self.space)
        axes = [axis for axis in variable.axes if axis != SAMPLE]
        if SAMPLE in variable.axes:
            block = block[(slice(None),) * variable.axes.index(SAMPLE) + (0,)]
        n_components = variable.axes.count(COMPONENT)
        order, positions = [], [i for i, axis in enumerate(axes) if axis == COMPONENT]
        for axis in dict.fromkeys(wanted):
            order += positions if axis == COMPONENT else [axes.index(axis)] if axis in axes else []
        block = block.transpose(order)
        n_times = block.shape[0] if TIME in axes else 1
        lengths = iter(block.shape[(TIME in axes) + n_components :])
        return block.reshape(
            n_times, variable.n_components, *(next(lengths) if axis in axes else 1 for axis in self.space)
        )


def _read_block(
    stored: h5py.Dataset,
    offset: tuple[int, ...],
    count: tuple[int, ...],
    out: np.ndarray,
    out_offset: tuple[int, ...],
    out_count: tuple[int, ...],
) -> None:
    """A slice of the file straight into a slice of `out`: h5py's indexing costs several times a small read."""
    file_space = stored.id.get_space()
    file_space.select_hyperslab(offset, count)
    memory = h5py.h5s.create_simple(out.shape)
    rest = out.ndim - len(out_offset)
    memory.select_hyperslab(out_offset + (0,) * rest, out_count + out.shape[len(out_offset) :])
    stored.id.read(memory, file_space, out)


def _read_converted(stored: h5py.Dataset, offset: tuple[int, ...], count: tuple[int, ...], block: np.ndarray) -> None:
    if stored.dtype.kind == "f":
        _read_block(stored, offset, count, block, (0,), (block.shape[0],))
    else:  # HDF5 itself turns no booleans (an enumeration on disk) into numbers
        block[...] = stored[tuple(slice(o, o + c) for o, c in zip(offset, count, strict=True))]


def _hint(stored: h5py.Dataset) -> str:
    return (
        f"Its compression is {stored.compression!r}, its filters {list(stored._filters)}; a filter that is not built "
        "into HDF5 needs `import hdf5plugin` before reading"
    )
