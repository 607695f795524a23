"""Anybody's HDF5 file, described by about ten lines of YAML (docs/own_data.md)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
import yaml

from duhamel.datasets.arrays import COMPONENT, SAMPLE, TIME, ArraySource, Variable
from duhamel.datasets.coordinates import time_step
from duhamel.datasets.guard import damage_named
from duhamel.fields import Boundary, Centring, Grid, Problem, Quantity
from duhamel.pdes import EQUATIONS

KEYS = {"axes", "channels", "scalars", "coefficients", "grid", "centring", "dt", "equation", "minimum"}
REQUIRED = ("axes", "channels", "grid", "centring", "dt")

E = TypeVar("E", Boundary, Centring)


@dataclass(frozen=True)
class _Context:
    """The file under description: what every message names, and the lengths its axes were found to have."""

    file: h5py.File
    path: Path
    space: tuple[str, ...]
    lengths: dict[str, int]

    def dataset(self, name: object) -> h5py.Dataset:
        found = self.file.get(name) if isinstance(name, str) else None
        if not isinstance(found, h5py.Dataset):
            held: list[str] = []
            self.file.visititems(lambda key, item: held.append(key) if isinstance(item, h5py.Dataset) else None)
            raise ValueError(f"{self.path}: the mapping names dataset {name!r}, the file holds {held}")
        return found


def read_mapping(mapping: Mapping[str, Any] | Path | str) -> dict[str, Any]:
    """A mapping with its keys checked; from a YAML file where a path is given."""
    if isinstance(mapping, Mapping):
        entries = dict(mapping)
    else:
        with damage_named(Path(mapping)):
            entries = yaml.safe_load(Path(mapping).read_text())
    place = "mapping" if isinstance(mapping, Mapping) else f"mapping {mapping}"
    if not isinstance(entries, dict):
        raise ValueError(f"{place}: expected keys {sorted(KEYS)}, got {type(entries).__name__}")
    if unknown := set(entries) - KEYS:
        raise ValueError(f"{place}: unknown keys {sorted(unknown)}, allowed are {sorted(KEYS)}")
    if missing := [key for key in REQUIRED if key not in entries]:
        raise ValueError(f"{place}: keys {missing} are missing")
    return entries


def open_mapped(file: h5py.File, path: Path, mapping: Mapping[str, Any]) -> ArraySource:
    """The source that a mapping describes."""
    here = _Context(file, path, tuple(mapping["grid"]), {})
    axes = tuple(mapping["axes"])
    channels, states = _variables(here, mapping["channels"], axes)
    constant = tuple(axis for axis in axes if axis != TIME)
    coefficients, fields = _variables(here, mapping.get("coefficients") or {}, constant)
    if any(TIME in variable.axes for variable in fields) and here.lengths[TIME] > 1:
        raise ValueError(f"{path}: coefficients {list(coefficients)} vary in time; only constant ones are known")
    n_samples = here.lengths.get(SAMPLE, 1)
    dt = _dt(here, mapping["dt"])
    if dt > 0 and TIME not in here.lengths:
        raise ValueError(f"{path}: dt is {dt}, but no channel has an axis {TIME!r}; a stationary problem has dt: 0")
    if dt == 0 and here.lengths.get(TIME, 1) != 1:
        raise ValueError(f"{path}: dt is 0 (stationary), but the channels hold {here.lengths[TIME]} times")
    scalars = mapping.get("scalars") or {}
    minimum = mapping.get("minimum") or {}
    if unknown := set(minimum) - {*channels, *coefficients, *scalars}:
        raise ValueError(f"{path}: the mapping bounds {sorted(unknown)}, which it does not name elsewhere")
    columns = [_scalar(here, name, entry, n_samples) for name, entry in scalars.items()]

    known = _quantities_of(mapping.get("equation"))

    def quantities(names: Iterable[str]) -> tuple[Quantity, ...]:
        found = (known.get(n, Quantity(n)) for n in names)
        return tuple(replace(q, minimum=float(minimum[q.name])) if q.name in minimum else q for q in found)

    return ArraySource(
        path=path,
        problem=Problem(
            equation=mapping.get("equation") or "",
            channels=quantities(channels),
            scalars=quantities(scalars),
            coefficients=quantities(coefficients),
            grid=_grid(here, mapping),
            dt=dt,
        ),
        n_trajectories=n_samples,
        n_times=2 if dt == 0 else here.lengths[TIME],
        scalars=np.stack(columns, axis=1) if columns else np.zeros((n_samples, 0)),
        space=here.space,
        states=states,
        coefficients=fields,
    )


def _quantities_of(equation: str | None) -> dict[str, Quantity]:
    """Names and bounds of an equation's states and parameters; of none where it is not one of ours."""
    if equation not in EQUATIONS:
        return {}
    pde = EQUATIONS[equation]()
    return {q.name: q for q in (*pde.channels, *pde.scalars, *pde.coefficients)}


def _variables(
    here: _Context, entries: Mapping[str, Any], default: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[Variable, ...]]:
    """Names and arrays of `name: dataset` or `name: {dataset, axes, components}`."""
    names: list[str] = []
    variables = []
    for name, entry in entries.items():
        given = {"dataset": entry} if isinstance(entry, str) else dict(entry)
        if "dataset" not in given or set(given) - {"dataset", "axes", "components"}:
            raise ValueError(f"{here.path}: {name} needs a dataset, may have axes and components, got {given}")
        axes = tuple(given.get("axes", default))
        components = tuple(given.get("components", ()))
        stored = here.dataset(given["dataset"])
        allowed = {SAMPLE, TIME, COMPONENT, *here.space}
        if len(axes) != stored.ndim or set(axes) - allowed or len(set(axes)) != len(axes):
            raise ValueError(
                f"{here.path}, dataset {given['dataset']!r}: shape {stored.shape}, axes {axes}; an axis each, out of "
                f"{sorted(allowed)}"
            )
        lengths = dict(zip(axes, stored.shape, strict=True))
        if lengths.pop(COMPONENT, 0) != len(components):
            raise ValueError(
                f"{here.path}, dataset {given['dataset']!r}: shape {stored.shape} over {axes}, components "
                f"{components}: an axis {COMPONENT!r} needs one name a component"
            )
        for axis, n in lengths.items():
            if here.lengths.setdefault(axis, n) != n:
                raise ValueError(
                    f"{here.path}, dataset {given['dataset']!r}: axis {axis!r} has {n} entries, {here.lengths[axis]} "
                    "in another dataset"
                )
        names += components or (name,)
        variables.append(Variable(given["dataset"], axes, len(components) or 1))
    return tuple(names), tuple(variables)


def _scalar(here: _Context, name: str, entry: Any, n_samples: int) -> np.ndarray:
    """One number a trajectory from a dataset, or one for all: a number, or `@name` of a root attribute."""
    if isinstance(entry, str) and entry.startswith("@"):
        if entry[1:] not in here.file.attrs:
            raise ValueError(f"{here.path}: scalar {name}: no root attribute {entry[1:]!r}: {list(here.file.attrs)}")
        entry = float(here.file.attrs[entry[1:]])
    if isinstance(entry, int | float):
        return np.full(n_samples, float(entry))
    stored = here.dataset(entry)
    if stored.shape not in ((), (n_samples,)):
        raise ValueError(
            f"{here.path}, dataset {entry!r}: scalar {name} of shape {stored.shape}, expected () or ({n_samples},)"
        )
    return np.broadcast_to(np.asarray(stored[...], dtype=np.float64), (n_samples,))


def _dt(here: _Context, entry: Any) -> float:
    """A number, or the dataset that holds the times."""
    if isinstance(entry, int | float):
        return float(entry)
    return time_step(here.dataset(entry)[...], path=here.path, dataset=str(entry))


def _grid(here: _Context, mapping: Mapping[str, Any]) -> Grid:
    sides = []
    for axis, entry in mapping["grid"].items():
        if not isinstance(entry, Mapping) or set(entry) != {"from", "to", "boundary"}:
            raise ValueError(f"{here.path}: grid axis {axis!r} needs exactly from, to and boundary, got {entry}")
        if axis not in here.lengths:
            raise ValueError(f"{here.path}: no dataset has an axis {axis!r}, only {sorted(here.lengths)}")
        sides.append((float(entry["from"]), float(entry["to"]), _member(here, Boundary, entry["boundary"])))
    return Grid(
        shape=tuple(here.lengths[axis] for axis in here.space),
        extent=tuple(right - left for left, right, _ in sides),
        boundary=tuple(boundary for _, _, boundary in sides),
        centring=_member(here, Centring, mapping["centring"]),
        origin=tuple(left for left, _, _ in sides),
    )


def _member(here: _Context, kind: type[E], value: object) -> E:
    if value not in [str(member) for member in kind]:
        raise ValueError(f"{here.path}: {kind.__name__.lower()} {value!r}, allowed are {[str(m) for m in kind]}")
    return kind(str(value))
