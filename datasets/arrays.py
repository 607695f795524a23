"""Trajectories that lie in HDF5 arrays: every format is a table of which array and axis mean what."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float

from duhamel.datasets import handles
from duhamel.datasets.guard import damage_named
from duhamel.fields import Problem

SAMPLE, TIME, COMPONENT = "sample", "time", "component"
# Buffers that one system call fills (IOV_MAX is 1024 where it is not more).
MAX_PIECES = 1024


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
        with damage_named(self.path), h5py.File(self.path, "r", locking="best-effort") as file:
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
            stored = handles.stored(self.path, self._name(variable, trajectory))
            last = first + variable.n_components
            target = out if len(variables) == 1 else out[:, first:last]
            if variable.axes not in self._runs or not _read_run(stored, variable.axes, trajectory, start, target):
                self._read_slices(stored, variable, trajectory, slice(start, stop), target)
            first = last

    @cached_property
    def _runs(self) -> frozenset[tuple[str, ...]]:
        """Axes of an array whose windows are one run of its elements, in the order of a state."""
        orders = ((TIME, *self.space), (TIME, COMPONENT, *self.space))
        return frozenset((*orders, *((SAMPLE, *order) for order in orders)))

    def _read_slices(
        self, stored: handles.Stored, variable: Variable, trajectory: int, times: slice, target: np.ndarray
    ) -> None:
        """One contiguous slice, put into the order of a state."""
        place = f"{self.path}, dataset {stored.dataset.name!r}"
        lengths = {axis: n for axis, n in zip(variable.axes, stored.shape, strict=False) if axis in self.space}
        wanted = dict(zip(self.space, self.problem.grid.shape, strict=True))
        n_stored = stored.shape[variable.axes.index(TIME)] if TIME in variable.axes else times.stop
        if len(stored.shape) != len(variable.axes) or lengths.items() - wanted.items() or n_stored < times.stop:
            raise ValueError(
                f"{place}: shape {stored.shape} over {variable.axes}, expected {wanted} and {times.stop} times or more"
            )
        try:
            block = stored.dataset[tuple({SAMPLE: trajectory, TIME: times}.get(a, slice(None)) for a in variable.axes)]
        except (OSError, RuntimeError) as error:  # HDF5 raises either
            raise OSError(f"{place}: {error}. {_hint(stored.dataset)}") from error
        target[...] = _arranged(block, [axis for axis in variable.axes if axis != SAMPLE], self.space)


def _read_run(stored: handles.Stored, axes: tuple[str, ...], trajectory: int, start: int, target: np.ndarray) -> bool:
    """Read an uncompressed window past HDF5; False, nothing being lost, where that cannot be done."""
    leading = 0 if axes[0] == TIME else 1
    n_times, size, stride = len(target), target.nbytes, stored.strides[leading]
    if (
        not stored.plain
        or stored.dtype != target.dtype
        or start + n_times > stored.shape[leading]
        or (leading and trajectory >= stored.shape[0])  # other bytes lie beyond
        or stride * n_times != size
    ):
        return False
    position = stored.offset + start * stride + (trajectory * stored.strides[0] if leading else 0)
    if target.flags.c_contiguous:
        return os.preadv(stored.descriptor, (target.data,), position) == size
    # A vector of frames where the channels of a state come from several arrays.
    if n_times > MAX_PIECES or not target[0].flags.c_contiguous:
        return False
    return os.preadv(stored.descriptor, [frame.data for frame in target], position) == size


def _arranged(block: np.ndarray, axes: list[str], space: tuple[str, ...]) -> np.ndarray:
    """Axes in the order time, component, space; components flattened, absent axes of length 1."""
    components = [i for i, axis in enumerate(axes) if axis == COMPONENT]
    times = [axes.index(TIME)] if TIME in axes else []
    points = [axes.index(axis) for axis in space if axis in axes]
    shape = block.shape
    return block.transpose(times + components + points).reshape(
        shape[times[0]] if times else 1,
        math.prod(shape[i] for i in components),
        *(shape[axes.index(axis)] if axis in axes else 1 for axis in space),
    )


def _hint(dataset: h5py.Dataset) -> str:
    return (
        f"Its compression is {dataset.compression!r}, its filters {list(dataset._filters)}; a filter that is not built "
        "into HDF5 needs `import hdf5plugin` before reading"
    )
