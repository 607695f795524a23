"""Several files, usually one a parameter value, that form one data set; and what identifies their content."""

import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from duhamel.datasets.guard import damage_named
from duhamel.datasets.joined import parts_of
from duhamel.datasets.schema import Source
from duhamel.fields import Problem, Quantity


def check_family(sources: Sequence[Source]) -> Problem:
    """The problem that all sources share; ValueError names two files that differ, and in what."""
    if not sources:
        raise ValueError("a data set needs at least one file")
    first = sources[0]
    for other in sources[1:]:
        if other.problem.grid != first.problem.grid:
            _refuse("grid", first, first.problem.grid, other, other.problem.grid)
        if other.n_times != first.n_times:
            _refuse("number of states (ask for fewer by n_times)", first, first.n_times, other, other.n_times)
        check_same_kind(first, other)
    return first.problem


def check_same_kind(first: Source, other: Source) -> None:
    """Two sources that one operator can serve: equal but for the grid's resolution and the number of states.

    Ends of the domain may differ by two spacings of the coarser grid: one that was strided, or whose ends were taken
    from its samples, is a little shorter than what it was taken from.
    """
    a, b = first.problem, other.problem
    for what, of_first, of_other in (
        ("channels", _names(a.channels), _names(b.channels)),
        ("scalars", _names(a.scalars), _names(b.scalars)),
        ("coefficients", _names(a.coefficients), _names(b.coefficients)),
        ("equation", a.equation, b.equation),
        ("boundary", a.grid.boundary, b.grid.boundary),
    ):
        if of_first != of_other:
            _refuse(what, first, of_first, other, of_other)
    if not math.isclose(a.dt, b.dt, rel_tol=1e-5):
        _refuse("dt (see time_stride)", first, a.dt, other, b.dt)
    for axis, (h_a, h_b) in enumerate(zip(a.grid.spacing, b.grid.spacing, strict=True)):
        of_a, of_b = ((g.origin[axis], g.extent[axis]) for g in (a.grid, b.grid))
        if max(abs(x - y) for x, y in zip(of_a, of_b, strict=True)) > 2 * max(h_a, h_b):
            _refuse(f"the domain, (origin, extent) of axis {axis}", first, of_a, other, of_b)


def check_unseen(tests: Sequence[Path], seen: Sequence[Path]) -> None:
    """No test file is one that trains or validates, nor a copy of one: its error would be no test error."""
    same_size: dict[int, list[Path]] = {}
    for path in seen:
        same_size.setdefault(path.stat().st_size, []).append(path)
    for path in tests:
        for other in same_size.get(path.stat().st_size, []):
            if path.samefile(other) or content_hash([path]) == content_hash([other]):
                raise ValueError(
                    f"test file {path} has the content of {other}, which trains or validates; name other files, or "
                    "give testing a fraction of that one instead"
                )


def content_hash(paths: Sequence[Path], *, n_blocks: int = 64, block: int = 4096) -> str:
    """Identifies what files hold, at a cost that does not grow with them: sizes, root attributes, evenly spaced blocks.
    Of a virtual data set, also of the files that it points at.

    Independent of the files' names and place. It tells versions of a data set apart; it is no protection against
    somebody who wants to deceive.
    """
    digest = hashlib.blake2b(digest_size=16)
    files = [file for path in paths for file in (path, *parts_of(path))]
    for path in files:
        size = os.path.getsize(path)
        digest.update(f"size {size}".encode())
        with damage_named(path), h5py.File(path, "r", locking="best-effort") as file:
            for name in sorted(file.attrs):
                digest.update(f"{name}={np.asarray(file.attrs[name]).tolist()!r}".encode())
        with path.open("rb") as raw:
            for offset in np.linspace(0, max(size - block, 0), n_blocks).astype(int).tolist():
                raw.seek(offset)
                digest.update(raw.read(block))
    return digest.hexdigest()


def _names(quantities: Sequence[Quantity]) -> tuple[str, ...]:
    return tuple(q.name for q in quantities)


def _refuse(what: str, first: Source, of_first: object, other: Source, of_other: object) -> None:
    raise ValueError(
        f"files of one data set must share {what}: {first.path} has {of_first}, {other.path} has {of_other}"
    )
