"""Arrays that the user describes: which one is what, and everything a file of bare arrays does not say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from duhamel.datasets.array_files import Array, contents
from duhamel.datasets.arrays import COMPONENT, SAMPLE, TIME, Variable
from duhamel.datasets.coordinates import spacing
from duhamel.fields import Boundary, Centring, Grid, Problem, Quantity

LETTERS = {"b": SAMPLE, "t": TIME, "c": COMPONENT, "x": "x", "y": "y", "z": "z"}


@dataclass(frozen=True)
class Named:
    """An array and the names of the components it holds."""

    names: tuple[str, ...]
    variable: Variable

    @classmethod
    def parse(cls, text: str) -> "Named":
        """NAME[,NAME...]=ARRAY:AXES, one letter an axis: b sample, t time, c component, x, y, z.

        >>> from duhamel.datasets.described import Named
        >>> Named.parse("density,vx=data:btxc").variable.axes
        ('sample', 'time', 'x', 'component')
        """
        head, equals, rest = text.partition("=")
        key, colon, letters = rest.rpartition(":")
        if not (head and equals and key and colon):
            raise ValueError(f"{text!r}: expected NAME=ARRAY:AXES, for example u=solution:btx")
        names = tuple(head.split(","))
        if set(letters) - set(LETTERS) or len(set(letters)) != len(letters):
            raise ValueError(f"{text!r}: axes are letters of 'btcxyz', each once, got {letters!r}")
        if len(names) > 1 and "c" not in letters:
            raise ValueError(f"{text!r}: {len(names)} components are named, but no axis is the component axis c")
        return cls(names, Variable(key, tuple(LETTERS[letter] for letter in letters), len(names)))


@dataclass(frozen=True, kw_only=True)
class Description:
    """What the arrays of a file mean.

    scalars: of each parameter either its value or the name of an array with one value a trajectory.
    coordinates: arrays with the positions along an axis; where given they set extent and origin.
    time: array of times; dt: time between states; one of the two, unless the problem is stationary (`steady`).
    drop_end: axes whose last sample repeats the first; it is left out.
    boolean_values: what False and True stand for in boolean arrays.
    """

    channels: tuple[Named, ...]
    coefficients: tuple[Named, ...] = ()
    scalars: Mapping[str, float | str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    equation: str = ""
    boundary: tuple[Boundary, ...] = ()
    centring: Centring | None = None
    extent: tuple[float, ...] = ()
    origin: tuple[float, ...] = ()
    coordinates: Mapping[str, str] = field(default_factory=dict)
    time: str = ""
    dt: float | None = None
    steady: bool = False
    drop_end: tuple[str, ...] = ()
    boolean_values: tuple[float, float] = (0.0, 1.0)

    @property
    def space(self) -> tuple[str, ...]:
        """Spatial axes of the channels, in the order x, y, z."""
        used = {axis for named in self.channels for axis in named.variable.axes}
        return tuple(axis for axis in ("x", "y", "z") if axis in used)

    def missing(self) -> list[str]:
        """Options the user has yet to give, in the words of the command line."""
        lacking = []
        n = len(self.space)
        if not self.channels:
            lacking.append("--channel NAME=ARRAY:AXES (which array is the state, and what its axes are)")
        if self.channels and len(self.boundary) != n:
            lacking.append(f"--boundary, one for each of the axes {self.space} ({', '.join(Boundary)})")
        if self.centring is None:
            lacking.append(f"--centring ({' or '.join(Centring)})")
        if self.channels and len(self.extent) != n and set(self.coordinates) != set(self.space):
            lacking.append(f"--extent, one for each of the axes {self.space}, or --coordinate AXIS=ARRAY for each")
        if not (self.steady or self.time or self.dt is not None):
            lacking.append("--dt, --time ARRAY or --steady")
        return lacking


class DescribedSource:
    """A `Source` over the arrays of one file (`duhamel.datasets.schema`); reads one trajectory at a time."""

    def __init__(self, path: Path, arrays: Mapping[str, Array], description: Description) -> None:
        if lacking := description.missing():
            raise ValueError(f"{path} does not say all; missing: {'; '.join(lacking)}. It holds: {contents(arrays)}")
        if description.coordinates and (description.extent or description.origin):
            raise ValueError(f"{path}: coordinates set extent and origin; give one or the other")
        axes = (*description.coordinates, *description.drop_end)
        if unknown := set(axes) - set(description.space):
            raise ValueError(f"{path}: axes {sorted(unknown)} are of no channel, the channels have {description.space}")
        self.path = path
        self._arrays = arrays
        self._description = description
        for named in (*description.channels, *description.coefficients):
            self._check(named)
        lengths = self._lengths()
        self.n_trajectories = lengths.get(SAMPLE, 1)
        self.n_times = 2 if description.steady else lengths.get(TIME, 1)
        if description.steady == (TIME in lengths):
            kind = "stationary has no time axis t" if description.steady else "time-dependent needs a time axis t"
            raise ValueError(f"{path}: a problem that is {kind} in its channels")
        self.problem = self._problem(lengths)
        self.scalars = self._scalar_values()

    def read(self, trajectory: int, start: int, stop: int) -> Float[np.ndarray, "time channel *space"]:
        """States start, ..., stop - 1 of one trajectory; state 0 of a stationary one is the guess, zeros."""
        if not 0 <= start < stop <= self.n_times:
            raise ValueError(f"{self.path}: states {start}:{stop} asked for, trajectories have {self.n_times}")
        if not self._description.steady:
            return self._gather(self._description.channels, trajectory, slice(start, stop))
        solution = self._gather(self._description.channels, trajectory, slice(0, 1))
        return np.concatenate([np.zeros_like(solution), solution])[start:stop]

    def read_coefficients(self, trajectory: int) -> Float[np.ndarray, "coefficient *space"]:
        """Parameter fields of one trajectory; zero-width where the problem has none."""
        if not self._description.coefficients:
            return np.zeros((0, *self.problem.grid.shape), dtype=np.float32)
        return self._gather(self._description.coefficients, trajectory, slice(0, 1))[0]

    def _array(self, name: str) -> Array:
        if name not in self._arrays:
            raise ValueError(f"{self.path}: array {name!r} is absent; it holds: {contents(self._arrays)}")
        return self._arrays[name]

    def _values(self, name: str) -> Float[np.ndarray, " n"]:
        array = self._array(name)
        return np.asarray(array[(slice(None),) * len(array.shape)], dtype=np.float64).ravel()

    def _check(self, named: Named) -> None:
        variable, shape = named.variable, self._array(named.variable.dataset).shape
        if len(shape) != len(variable.axes):
            raise ValueError(
                f"{self.path}: {variable.dataset} has shape {tuple(shape)}, but {len(variable.axes)} axes are named "
                f"{variable.axes}"
            )
        if not set(self._description.space) >= set(variable.axes) - {SAMPLE, TIME, COMPONENT}:
            raise ValueError(f"{self.path}: {variable.dataset} has spatial axes that no channel has: {variable.axes}")
        if named in self._description.coefficients and TIME in variable.axes:
            raise ValueError(f"{self.path}: coefficient {named.names} varies in time; only constant ones are known")
        if missing := set(self._description.space) - set(variable.axes):
            raise ValueError(f"{self.path}: {variable.dataset} lacks the spatial axes {sorted(missing)}")
        if COMPONENT in variable.axes and shape[variable.axes.index(COMPONENT)] != len(named.names):
            n = shape[variable.axes.index(COMPONENT)]
            raise ValueError(f"{self.path}: {variable.dataset} has {n} components, named are {named.names}")

    def _lengths(self) -> dict[str, int]:
        """Length of each axis, the repeated ends left out; ValueError where two arrays disagree."""
        lengths: dict[str, int] = {}
        for named in (*self._description.channels, *self._description.coefficients):
            variable = named.variable
            for axis, n in zip(variable.axes, self._array(variable.dataset).shape, strict=True):
                kept = n - (axis in self._description.drop_end)
                if axis != COMPONENT and lengths.setdefault(axis, kept) != kept:
                    raise ValueError(
                        f"{self.path}: axis {axis} has {kept} entries in {variable.dataset}, "
                        f"{lengths[axis]} in another array"
                    )
        return lengths

    def _problem(self, lengths: Mapping[str, int]) -> Problem:
        d = self._description

        def quantities(names: "list[str]") -> tuple[Quantity, ...]:
            return tuple(Quantity(name, d.units.get(name, "")) for name in names)

        problem = Problem(
            equation=d.equation,
            channels=quantities([name for named in d.channels for name in named.names]),
            scalars=quantities(list(d.scalars)),
            coefficients=quantities([name for named in d.coefficients for name in named.names]),
            grid=self._grid(tuple(lengths[axis] for axis in d.space)),
            dt=0.0 if d.steady else self._dt(lengths[TIME]),
        )
        named = {q.name for q in (*problem.channels, *problem.scalars, *problem.coefficients)}
        if unknown := set(d.units) - named:
            raise ValueError(f"{self.path}: units are given of {sorted(unknown)}, quantities are {sorted(named)}")
        return problem

    def _dt(self, n_times: int) -> float:
        d = self._description
        if not d.time:
            assert d.dt is not None  # `missing` has seen to it
            return d.dt
        times = self._values(d.time)
        if len(times) != n_times:
            raise ValueError(f"{self.path}: {d.time} has {len(times)} times, trajectories have {n_times} states")
        return spacing(times, path=self.path, dataset=d.time)

    def _grid(self, shape: tuple[int, ...]) -> Grid:
        d = self._description
        assert d.centring is not None  # `missing` has seen to it
        extent, origin = list(d.extent), list(d.origin or (0.0,) * len(shape))
        if d.coordinates:
            extent, origin = [], []
            for axis, n, boundary in zip(d.space, shape, d.boundary, strict=True):
                x = self._values(d.coordinates[axis])
                if len(x) != n + (axis in d.drop_end):
                    raise ValueError(f"{self.path}: {d.coordinates[axis]} has {len(x)} positions, axis {axis} has {n}")
                h = spacing(x, path=self.path, dataset=d.coordinates[axis])
                cell = d.centring is Centring.CELL
                extent.append(h * (n if cell or boundary is Boundary.PERIODIC else n - 1))
                origin.append(float(x[0]) - (h / 2 if cell else 0.0))
        return Grid(shape=shape, extent=tuple(extent), boundary=d.boundary, centring=d.centring, origin=tuple(origin))

    def _scalar_values(self) -> Float[np.ndarray, "trajectory param"]:
        columns = []
        for name, given in self._description.scalars.items():
            values = self._values(given) if isinstance(given, str) else np.full(self.n_trajectories, given)
            if len(values) != self.n_trajectories:
                raise ValueError(
                    f"{self.path}: {len(values)} values of {name} for {self.n_trajectories} trajectories in {given!r}"
                )
            columns.append(values)
        return np.stack(columns, axis=1) if columns else np.zeros((self.n_trajectories, 0))

    def _gather(self, group: tuple[Named, ...], trajectory: int, times: slice) -> np.ndarray:
        if not 0 <= trajectory < self.n_trajectories:
            raise ValueError(f"{self.path}: trajectory {trajectory} asked for, the file holds {self.n_trajectories}")
        shape = dict(zip(self._description.space, self.problem.grid.shape, strict=True))
        parts = []
        for named in group:
            array, axes = self._arrays[named.variable.dataset], named.variable.axes
            index: dict[str, int | slice] = {SAMPLE: trajectory, TIME: times, COMPONENT: slice(None)}
            index |= {axis: slice(0, n) for axis, n in shape.items()}
            block = np.asarray(array[tuple(index[axis] for axis in axes)])
            kept = [axis for axis in axes if axis != SAMPLE]
            for position, axis in enumerate((TIME, COMPONENT)):
                if axis not in kept:
                    block, kept = np.expand_dims(block, position), [*kept[:position], axis, *kept[position:]]
            block = block.transpose([kept.index(axis) for axis in (TIME, COMPONENT, *shape)])
            if block.dtype == bool:
                no, yes = self._description.boolean_values
                block = np.where(block, np.float64(yes), np.float64(no))
            parts.append(block if block.dtype in (np.float32, np.float64) else block.astype(np.float64))
        return np.concatenate(parts, axis=1)
