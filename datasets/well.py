"""The Well's layout, and ours, which is that layout plus a root attribute `provenance`.

Fields lie in t0_fields (scalars), t1_fields (vectors), t2_fields (matrices) with attributes that say along which axes
they vary. Time-varying fields are channels, constant ones coefficients. Ohana et al. (2024), The Well.
"""

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from duhamel.datasets.arrays import COMPONENT, SAMPLE, TIME, ArraySource, Variable
from duhamel.datasets.coordinates import inferred, time_step
from duhamel.datasets.joined import require_parts
from duhamel.fields import Boundary, Grid, Problem, Quantity

FIELDS = ("t0_fields", "t1_fields", "t2_fields")


@dataclass(frozen=True)
class _Field:
    """A stored field, the names of its components, and whether it changes in time."""

    variable: Variable
    names: tuple[str, ...]
    time_varying: bool


def recognises(file: h5py.File) -> bool:
    return "dimensions" in file and any(group in file for group in FIELDS)


def open_well(file: h5py.File, path: Path) -> ArraySource:
    """The source in a file of this layout; names, bounds, grid and dt from its provenance where it has one."""
    require_parts(path)
    space = _texts(file["dimensions"].attrs.get("spatial_dims", ()))
    if not space:
        raise ValueError(f"{path}, group 'dimensions': attribute 'spatial_dims' is absent")
    fields = list(_fields(file, path, space))
    provenance = json.loads(str(file.attrs["provenance"])) if "provenance" in file.attrs else {}
    if "problem" in provenance:
        problem = Problem.from_dict(provenance["problem"])
        states = _ordered(problem.channels, fields, path=path, time_varying=True)
        coefficients = _ordered(problem.coefficients, fields, path=path, time_varying=False)
        names: tuple[str, ...] = tuple(q.name for q in problem.scalars)
    else:
        states = tuple(f for f in fields if f.time_varying)
        coefficients = tuple(f for f in fields if not f.time_varying)
        names = tuple(_scalar_names(file, path))
        problem = Problem(
            equation="",
            channels=tuple(Quantity(name) for f in states for name in f.names),
            scalars=tuple(Quantity(name) for name in names),
            coefficients=tuple(Quantity(name) for f in coefficients for name in f.names),
            grid=_grid(file, path, space),
            dt=time_step(file["dimensions/time"][...], path=path, dataset="dimensions/time"),
        )
    n_trajectories, n_times = _counts(file, path, states)
    for name, shape, axes in _shapes(file, (*states, *coefficients)):
        lengths = dict(zip(axes, shape, strict=True))
        wrong = [a for a, n in zip(space, problem.grid.shape, strict=True) if lengths.get(a, n) != n]
        if wrong or lengths.get(TIME, n_times) != n_times or lengths.get(SAMPLE, n_trajectories) != n_trajectories:
            raise ValueError(
                f"{path}, dataset {name!r}: shape {shape} over {axes}; expected {n_trajectories} samples, "
                f"{n_times} times and a grid of {problem.grid.shape}"
            )
    if problem.steady and n_times != 1:
        raise ValueError(f"{path}: the problem is stationary (dt = 0), but its fields hold {n_times} times")
    return ArraySource(
        path=path,
        problem=problem,
        n_trajectories=n_trajectories,
        n_times=2 if problem.steady else n_times,
        scalars=_scalars(file, path, names, n_trajectories),
        space=space,
        states=tuple(f.variable for f in states),
        coefficients=tuple(f.variable for f in coefficients),
        provenance=provenance,
    )


def _fields(file: h5py.File, path: Path, space: tuple[str, ...]) -> Iterator[_Field]:
    for order, group in enumerate(FIELDS):
        if group not in file:
            continue
        for name in _texts(file[group].attrs.get("field_names", tuple(file[group]))):
            if name not in file[group]:
                raise ValueError(f"{path}, group {group!r}: field {name!r} of its field_names is absent")
            stored = file[group][name]
            # Writers in the wild leave flags out; fields then vary along everything.
            varying = np.broadcast_to(stored.attrs.get("dim_varying", True), (len(space),))
            time_varying = bool(stored.attrs.get("time_varying", True))
            leading = (
                *((SAMPLE,) if stored.attrs.get("sample_varying", True) else ()),
                *((TIME,) if time_varying else ()),
                *(axis for axis, varies in zip(space, varying, strict=True) if varies),
            )
            # The documents say D^2 for matrices, the files end in (D, D): both are the same bytes.
            flat = order == 2 and stored.ndim == len(leading) + 1
            axes = leading + (COMPONENT,) * (1 if flat else order)
            if stored.ndim != len(axes):
                raise ValueError(
                    f"{path}, dataset '{group}/{name}': shape {stored.shape}, its attributes say axes {axes}"
                )
            names = tuple("_".join((name, "".join(parts))) if parts else name for parts in product(space, repeat=order))
            yield _Field(Variable(f"{group}/{name}", axes, len(names)), names, time_varying)


def _ordered(
    quantities: tuple[Quantity, ...], fields: list[_Field], *, path: Path, time_varying: bool
) -> tuple[_Field, ...]:
    """Fields in the order of the provenance's quantities, all of which must be there."""
    by_name = {f.names: f for f in fields if f.time_varying == time_varying}
    wanted = [q.name for q in quantities]
    found: list[_Field] = []
    while len(names := wanted[sum(len(f.names) for f in found) :]) > 0:
        fitting = [f for names_of, f in by_name.items() if tuple(names[: len(names_of)]) == names_of]
        if not fitting:
            kind = "time-varying" if time_varying else "constant"
            raise ValueError(f"{path}: provenance names {wanted}, no {kind} field {names[0]!r}; found {list(by_name)}")
        found.append(fitting[0])
    return tuple(found)


def _counts(file: h5py.File, path: Path, states: tuple[_Field, ...]) -> tuple[int, int]:
    if not states:
        raise ValueError(f"{path}: no field varies in time, there is nothing to propagate")
    _, shape, axes = next(_shapes(file, states))
    lengths = dict(zip(axes, shape, strict=True))
    n_trajectories = int(file.attrs.get("n_trajectories", lengths.get(SAMPLE, 1)))
    return n_trajectories, lengths[TIME]


def _shapes(file: h5py.File, fields: tuple[_Field, ...]) -> Iterator[tuple[str, tuple[int, ...], tuple[str, ...]]]:
    for f in fields:
        yield f.variable.dataset, file[f.variable.dataset].shape, f.variable.axes


def _grid(file: h5py.File, path: Path, space: tuple[str, ...]) -> Grid:
    kind = str(file.attrs.get("grid_type", "cartesian"))
    if kind != "cartesian":
        warnings.warn(f"{path}: its {kind} coordinates {space} are treated as a Cartesian grid", stacklevel=2)
    axes = []
    for name in space:
        x = file["dimensions"][name][...]
        if x.ndim == 2:
            if (x != x[:1]).any():
                raise NotImplementedError(f"{path}, dataset 'dimensions/{name}': grids that differ between samples")
            x = x[0]
        axes.append(x)
    boundary = tuple(_boundary(file, axis) for axis in space)
    return inferred(tuple(axes), boundary, path=path, datasets=tuple(f"dimensions/{name}" for name in space))


def _boundary(file: h5py.File, axis: str) -> Boundary:
    """One condition for both ends: open where the file says nothing (The Well's default) or where the ends differ."""
    kinds = {
        str(group.attrs.get("bc_type", "OPEN")).lower()
        for group in file.get("boundary_conditions", {}).values()
        if axis in _texts(group.attrs.get("associated_dims", ()))
    }
    return Boundary(kinds.pop()) if len(kinds) == 1 else Boundary.OPEN


def _scalar_names(file: h5py.File, path: Path) -> Iterator[str]:
    group = file.get("scalars")
    if group is None:
        return
    for name in _texts(group.attrs.get("field_names", tuple(group))):
        if group[name].attrs.get("time_varying", False):
            warnings.warn(f"{path}: scalar {name!r} varies in time and is left out", stacklevel=2)
        else:
            yield name


def _scalars(file: h5py.File, path: Path, names: tuple[str, ...], n_trajectories: int) -> np.ndarray:
    columns = np.empty((n_trajectories, len(names)), dtype=np.float64)
    for i, name in enumerate(names):
        stored = file.get(f"scalars/{name}")
        if stored is None or stored.shape not in ((), (n_trajectories,)):
            found = "absent" if stored is None else f"of shape {stored.shape}"
            raise ValueError(f"{path}, dataset 'scalars/{name}': {found}, expected one number or {n_trajectories}")
        columns[:, i] = stored[...]
    return columns


def _texts(value: Any) -> tuple[str, ...]:
    """Names in an attribute: a list of them, or a single one, which the published writer stores bare."""
    values = [value] if isinstance(value, str | bytes) else list(value)
    return tuple(v.decode() if isinstance(v, bytes) else str(v) for v in values)
