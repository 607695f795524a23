"""Our files: The Well's published layout, a root attribute `provenance`, and never half a file under the final name."""

import math
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.datasets.provenance import ForeignProvenance, Provenance, provenance_json
from duhamel.datasets.unfinished import partial, publish, remove_abandoned, reserve
from duhamel.fields import Boundary, Grid, Parameters

# The Well knows three conditions; the exact kind stands in the group's name and in the provenance.
BC_TYPE = {
    Boundary.PERIODIC: "PERIODIC",
    Boundary.WALL: "WALL",
    Boundary.DIRICHLET: "WALL",
    Boundary.OPEN: "OPEN",
    Boundary.NEUMANN: "OPEN",
}


def axis_names(ndim: int) -> tuple[str, ...]:
    """Names of the spatial axes in array order: x, y, z; x1, x2, ... beyond three dimensions."""
    return ("x", "y", "z")[:ndim] if ndim <= 3 else tuple(f"x{i + 1}" for i in range(ndim))


class Writer:
    """Appends trajectories, batch by batch, to a new HDF5 file; memory does not grow with the file.

    A context manager: the file appears under its name, complete and flushed to disk, when the block ends without an
    error, and not at all otherwise. Channels are stored as t0_fields/<name> (B, T, *space), coefficients as constant
    t0_fields/<name> (B, *space), scalars in float64 as scalars/<name> (B,).

    n_times: states a trajectory holds, the first included; 1 (the solution) for a stationary problem.
    dtype: of stored fields, float32 or float64.
    chunked: one frame a chunk instead of one contiguous block.
    overwrite: replace an existing file.
    """

    def __init__(
        self,
        path: Path,
        provenance: Provenance | ForeignProvenance,
        *,
        n_trajectories: int,
        n_times: int,
        dtype: torch.dtype = torch.float32,
        chunked: bool = False,
        overwrite: bool = False,
    ) -> None:
        self._provenance = provenance_json(provenance)
        self.path = Path(path)
        self.problem = provenance.problem
        self.n_trajectories = n_trajectories
        self.n_times = n_times
        self._refuse_nonfinite = isinstance(provenance, Provenance)
        self._n_written = 0
        self._partial = partial(self.path)
        if n_trajectories < 1:
            raise ValueError(f"{path}: at least one trajectory is needed, got {n_trajectories}")
        if self.problem.steady != (n_times == 1):
            kind = "stationary, 1 state" if self.problem.steady else "time-dependent, at least 2 states"
            raise ValueError(f"{path}: the problem is {kind} a trajectory expected, got {n_times}")
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"{path}: fields are stored as float32 or float64, not {dtype}")
        if self.path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists; choose another name or ask for it to be overwritten")
        named = (*self.problem.channels, *self.problem.coefficients, *self.problem.scalars)
        if bad := [q.name for q in named if not q.name or "/" in q.name or q.name == "."]:
            raise ValueError(f"{path}: HDF5 cannot name a dataset {bad}")
        self._dtype = np.dtype(np.float32 if dtype is torch.float32 else np.float64)
        self._chunked = chunked

    def __enter__(self) -> "Writer":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self.path)
        self._file = h5py.File(self._partial, "w")
        try:
            self._write_header()
            self._flush()
            reserve(self._partial, self._partial.stat().st_size + self._n_bytes)
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._discard()
            return
        if self._n_written != self.n_trajectories:
            self._discard()
            raise ValueError(f"{self.path}: {self.n_trajectories} trajectories promised, {self._n_written} written")
        try:
            self._flush()
            size = self._file.id.get_filesize()
            self._file.close()
            os.truncate(self._partial, size)
            publish(self._partial, self.path)
        except BaseException:
            self._discard()
            raise

    def append(self, u: Float[Tensor, "batch time channel *space"], params: Parameters) -> None:
        """Store a batch: states (the solution alone where the problem is stationary) and their parameters."""
        space = self.problem.grid.shape
        expected = (len(u), self.n_times, len(self.problem.channels), *space)
        scalars = (len(u), len(self.problem.scalars))
        coefficients = (len(u), len(self.problem.coefficients), *space)
        for name, given, wanted in (
            ("states", u.shape, expected),
            ("scalars", params.scalars.shape, scalars),
            ("coefficients", params.fields.shape, coefficients),
        ):
            if tuple(given) != wanted:
                raise ValueError(f"{self.path}: {name} of shape {tuple(given)}, the problem says {wanted}")
        start, stop = self._n_written, self._n_written + len(u)
        if stop > self.n_trajectories:
            raise ValueError(f"{self.path}: trajectory {stop} given, {self.n_trajectories} promised")
        if self._refuse_nonfinite and not bool(u.isfinite().all()):
            sample, time = (~u.isfinite().flatten(2).all(dim=2)).nonzero()[0].tolist()
            raise ValueError(f"{self.path}: trajectory {start + sample} is not finite at state {time}")
        fields = self._file["t0_fields"]
        for i, channel in enumerate(self.problem.channels):
            fields[channel.name][start:stop] = u[:, :, i].detach().cpu().numpy()
        for i, coefficient in enumerate(self.problem.coefficients):
            fields[coefficient.name][start:stop] = params.fields[:, i].detach().cpu().numpy()
        for i, scalar in enumerate(self.problem.scalars):
            self._file["scalars"][scalar.name][start:stop] = params.scalars[:, i].detach().cpu().numpy()
        self._n_written = stop

    @property
    def _n_bytes(self) -> int:
        """Of all states, coefficients and scalars."""
        values = self.n_times * len(self.problem.channels) + len(self.problem.coefficients)
        per_sample = values * math.prod(self.problem.grid.shape) * self._dtype.itemsize + 8 * len(self.problem.scalars)
        return self.n_trajectories * per_sample

    def _flush(self) -> None:
        try:
            self._file.flush()
        except RuntimeError as error:
            raise OSError(f"{self._partial} cannot be written: {error}") from error

    def _discard(self) -> None:
        # A file that cannot be written cannot be closed either.
        with suppress(OSError, RuntimeError):
            self._file.close()
        self._partial.unlink(missing_ok=True)

    def _write_header(self) -> None:
        problem, grid, file = self.problem, self.problem.grid, self._file
        file.attrs["dataset_name"] = self.path.stem
        file.attrs["grid_type"] = "cartesian"
        file.attrs["n_spatial_dims"] = grid.ndim
        file.attrs["n_trajectories"] = self.n_trajectories
        file.attrs["simulation_parameters"] = _names(())
        # An attribute beyond 64 KiB would need another storage; a problem is far from it.
        file.attrs["provenance"] = self._provenance

        axes = axis_names(grid.ndim)
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = _names(axes)
        times = np.arange(self.n_times) * problem.dt
        _mark(dimensions.create_dataset("time", data=times.astype(np.float32)), sample=False, time=True)
        for axis, x in zip(axes, grid.coordinates(), strict=True):
            _mark(dimensions.create_dataset(axis, data=x.numpy().astype(np.float32)), sample=False, time=False)
        self._write_boundaries(axes, grid)

        scalars = file.create_group("scalars")
        scalars.attrs["field_names"] = _names(q.name for q in problem.scalars)
        for scalar in problem.scalars:
            _mark(scalars.create_dataset(scalar.name, (self.n_trajectories,), np.float64), sample=True, time=False)

        fields = file.create_group("t0_fields")
        fields.attrs["field_names"] = _names(q.name for q in (*problem.channels, *problem.coefficients))
        for channel in problem.channels:
            self._create_field(fields, channel.name, (self.n_trajectories, self.n_times), time=True)
        for coefficient in problem.coefficients:
            self._create_field(fields, coefficient.name, (self.n_trajectories,), time=False)
        for empty in ("t1_fields", "t2_fields"):
            file.create_group(empty).attrs["field_names"] = _names(())

    def _create_field(self, group: h5py.Group, name: str, leading: tuple[int, ...], *, time: bool) -> None:
        space = self.problem.grid.shape
        chunks = (1,) * len(leading) + space if self._chunked else None
        field = group.create_dataset(name, (*leading, *space), self._dtype, chunks=chunks)
        field.attrs["dim_varying"] = np.ones(len(space), dtype=bool)
        _mark(field, sample=True, time=time)

    def _write_boundaries(self, axes: tuple[str, ...], grid: Grid) -> None:
        conditions = self._file.create_group("boundary_conditions")
        for axis, n, boundary in zip(axes, grid.shape, grid.boundary, strict=True):
            kind = BC_TYPE[boundary]
            exact = "" if str(boundary) == kind.lower() else f"_{boundary}"
            group = conditions.create_group(f"{axis}_{kind.lower()}{exact}")
            group.attrs["associated_dims"] = _names((axis,))
            group.attrs["associated_fields"] = _names(q.name for q in self.problem.channels)
            group.attrs["bc_type"] = kind
            _mark(group, sample=False, time=False)
            mask = np.zeros(n, dtype=bool)
            mask[[0, -1]] = True
            group.create_dataset("mask", data=mask)


def _names(names: Iterable[str]) -> np.ndarray:
    return np.array(list(names), dtype=h5py.string_dtype())


def _mark(item: h5py.Dataset | h5py.Group, *, sample: bool, time: bool) -> None:
    item.attrs["sample_varying"] = sample
    item.attrs["time_varying"] = time
