"""Other people's files into ours: `python -m duhamel.datasets.convert IN OUT.hdf5 [options]`.

Published families are recognised by their content. Anything else is described on the command line; what is missing is
listed. Axes are letters: b sample, t time, c component, x, y, z.

    python -m duhamel.datasets.convert burgers_shock.mat burgers.hdf5 --channel velocity=usol:xt --time t \\
        --coordinate x=x --boundary dirichlet --centring node --scalar viscosity=0.0031830988618379067
"""

import argparse
import hashlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import h5py
import numpy as np
import torch
from jaxtyping import Float

from duhamel.datasets.array_files import contents, open_arrays
from duhamel.datasets.described import DescribedSource, Description, Named
from duhamel.datasets.formats import open_source
from duhamel.datasets.provenance import ForeignProvenance
from duhamel.datasets.published import PUBLISHED
from duhamel.datasets.writer import Writer
from duhamel.fields import Boundary, Centring, Parameters, Problem
from duhamel.pdes import EQUATIONS

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@runtime_checkable
class Readable(Protocol):
    """What conversion asks of a source: less than `duhamel.datasets.schema.Source`, which worker processes share."""

    @property
    def path(self) -> Path: ...
    @property
    def problem(self) -> Problem: ...
    @property
    def n_trajectories(self) -> int: ...
    @property
    def n_times(self) -> int: ...
    @property
    def scalars(self) -> Float[np.ndarray, "trajectory param"]: ...
    def read(self, trajectory: int, start: int, stop: int) -> Float[np.ndarray, "time channel *space"]: ...
    def read_coefficients(self, trajectory: int) -> Float[np.ndarray, "coefficient *space"]: ...


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert one file as the command line says; an error ends with one readable line and status 1."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    try:
        source, how = _open(options)
        convert(
            source,
            options.output,
            conversion=f"{how}; stored as {options.dtype}",
            error_statement=options.error,
            command=shlex.join(["python", "-m", "duhamel.datasets.convert", *given]),
            dtype=DTYPES[options.dtype],
            overwrite=options.overwrite,
        )
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    shape = "x".join(map(str, source.problem.grid.shape))
    print(f"{options.output}: {source.n_trajectories} trajectories of {source.n_times} states on {shape} points")


def convert(
    source: Readable,
    output: Path,
    *,
    conversion: str,
    error_statement: str,
    command: str,
    dtype: torch.dtype = torch.float32,
    overwrite: bool = False,
) -> None:
    """Write what a source holds in our layout, trajectory by trajectory, and state where it came from."""
    with source.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    provenance = ForeignProvenance(
        problem=source.problem,
        source=source.path.name,
        sha256=digest,
        conversion=conversion,
        error_statement=error_statement,
        command=command,
    )
    # The guess of a stationary problem is zeros in every file of ours, so it is not stored.
    first = 1 if source.problem.steady else 0
    with Writer(
        output,
        provenance,
        n_trajectories=source.n_trajectories,
        n_times=source.n_times - first,
        dtype=dtype,
        overwrite=overwrite,
    ) as writer:
        for i in range(source.n_trajectories):
            u = torch.from_numpy(source.read(i, first, source.n_times))
            fields = torch.from_numpy(source.read_coefficients(i))
            scalars = torch.from_numpy(source.scalars[i])
            writer.append(u.unsqueeze(0), Parameters(scalars.unsqueeze(0), fields.unsqueeze(0)))


def _open(options: argparse.Namespace) -> tuple[Readable, str]:
    """The source to convert, and how it was understood."""
    path: Path = options.input
    if not path.is_file():
        raise FileNotFoundError(f"{path} is absent")
    if options.equation and options.equation not in EQUATIONS:
        raise ValueError(f"unknown equation {options.equation!r}; known are {sorted(EQUATIONS)}")
    described = [
        f"--{name}".replace("_", "-") for name in DESCRIBING if getattr(options, name) not in (None, [], False)
    ]
    if described and options.mapping:
        raise ValueError(f"a mapping says what arrays mean; {', '.join(described)} would say it again")
    if described:
        source = DescribedSource(path, open_arrays(path), _description(options))
        _check_names(source.problem, path)
        return source, "arrays described on the command line"
    if h5py.is_hdf5(path) and not _matlab(path):
        if options.values:
            raise ValueError(f"{path}: --values is for files whose arrays are described here, or recognised .pt files")
        return _open_hdf5(path, options.mapping, options.equation)
    if options.mapping or options.equation:
        raise ValueError(f"{path}: --mapping, and --equation alone, are for HDF5 files; describe the arrays here")
    arrays = open_arrays(path)
    for recognise in PUBLISHED:
        found = recognise(path, arrays, boolean_values=tuple(options.values or (0.0, 1.0)))
        if found is not None:
            return found
    lacking = Description(channels=()).missing()
    raise ValueError(
        f"{path}: of no family known here, so it must be described; it holds: {contents(arrays)}. "
        f"Missing: {'; '.join(lacking)}"
    )


def _check_names(problem: Problem, path: Path) -> None:
    """Where the equation is named, so must be all its quantities: its residual takes them in order."""
    if not problem.equation:
        return
    pde = EQUATIONS[problem.equation]
    for kind in ("channels", "scalars", "coefficients"):
        given, wanted = ([q.name for q in getattr(item, kind)] for item in (problem, pde))
        if given != wanted:
            raise ValueError(f"{path}: {problem.equation} has {kind} {wanted} in this order, described are {given}")


def _open_hdf5(path: Path, mapping: Path | None, equation: str | None) -> tuple[Readable, str]:
    source = open_source(path, mapping=mapping, equation=equation)
    if source.provenance:
        raise ValueError(f"{path}: is in our layout already; copy the file, a conversion would lose its provenance")
    how = f"mapping {mapping.name}" if mapping else "layout recognised"
    return source, f"HDF5, {how}, equation {source.problem.equation or 'not known'}"


def _matlab(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"MATLAB"


def _description(options: argparse.Namespace) -> Description:
    return Description(
        channels=tuple(Named.parse(text) for text in options.channel),
        coefficients=tuple(Named.parse(text) for text in options.coefficient),
        scalars={name: _number_or_name(value) for name, value in _pairs(options.scalar, "--scalar")},
        units=dict(_pairs(options.unit, "--unit")),
        equation=options.equation or "",
        boundary=tuple(Boundary(b) for b in options.boundary or ()),
        centring=None if options.centring is None else Centring(options.centring),
        extent=tuple(options.extent or ()),
        origin=tuple(options.origin or ()),
        coordinates=dict(_pairs(options.coordinate, "--coordinate")),
        time=options.time or "",
        dt=options.dt,
        steady=options.steady,
        drop_end=tuple(options.drop_end),
        boolean_values=tuple(options.values or (0.0, 1.0)),
    )


def _pairs(texts: Sequence[str], option: str) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    if bad := [text for text, (name, _, value) in zip(texts, pairs, strict=True) if not (name and value)]:
        raise ValueError(f"{option} expects NAME=VALUE, got {bad}")
    return [(name, value) for name, _, value in pairs]


def _number_or_name(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


DESCRIBING = (
    "channel", "coefficient", "scalar", "unit", "boundary", "centring", "extent", "origin", "coordinate",
    "time", "dt", "steady", "drop_end",
)  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m duhamel.datasets.convert",
        description="Convert .pt, .npy, .npz, .mat or HDF5 data into this package's layout.",
    )
    add = parser.add_argument
    add("input", type=Path)
    add("output", type=Path)
    add("--channel", action="append", default=[], metavar="NAME=ARRAY:AXES", help="a state array, axes from btcxyz")
    add("--coefficient", action="append", default=[], metavar="NAME=ARRAY:AXES", help="a parameter field")
    add("--scalar", action="append", default=[], metavar="NAME=VALUE", help="a number, or an array with one a sample")
    add("--unit", action="append", default=[], metavar="NAME=UNIT")
    add("--equation", metavar="NAME", help=f"one of {sorted(EQUATIONS)}, where the data solve it")
    add("--boundary", nargs="+", choices=[str(b) for b in Boundary], help="one an axis")
    add("--centring", choices=[str(c) for c in Centring])
    add("--extent", nargs="+", type=float, help="side lengths, one an axis")
    add("--origin", nargs="+", type=float, help="left ends, one an axis; 0 where not given")
    add("--coordinate", action="append", default=[], metavar="AXIS=ARRAY", help="positions, instead of --extent")
    time = parser.add_mutually_exclusive_group()
    time.add_argument("--dt", type=float, help="time between states")
    time.add_argument("--time", metavar="ARRAY", help="array of equally spaced times")
    time.add_argument("--steady", action="store_true", help="a stationary problem: the state is the solution")
    add("--drop-end", action="append", default=[], metavar="AXIS", choices=["x", "y", "z"],
        help="leave out the last sample of this axis, which repeats the first")  # fmt: skip
    add("--values", nargs=2, type=float, metavar=("FALSE", "TRUE"), help="what boolean arrays stand for; 0 and 1")
    add("--mapping", type=Path, metavar="YAML", help="what an HDF5 file's datasets mean, instead of the options above")
    add("--error", default="not stated by the source", metavar="TEXT", help="what is known about the data's error")
    add("--dtype", choices=sorted(DTYPES), default="float32", help="of stored fields")
    add("--overwrite", action="store_true")
    return parser


if __name__ == "__main__":
    main()
