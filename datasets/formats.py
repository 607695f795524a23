"""Which format a file is in: decided by what it holds, never by its name or extension."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py

from duhamel.datasets import pdebench_array, pdebench_incompressible, pdebench_seedgroup, well
from duhamel.datasets.arrays import ArraySource
from duhamel.datasets.guard import opened, survived
from duhamel.datasets.mapping import open_mapped, read_mapping

Recogniser = Callable[[h5py.File], bool]
Opener = Callable[[h5py.File, Path], ArraySource]

# The first that recognises a file reads it.
FORMATS: dict[str, tuple[Recogniser, Opener]] = {
    "The Well's layout, with or without provenance": (well.recognises, well.open_well),
    "PDEBench, one array a variable": (pdebench_array.recognises, pdebench_array.open_pdebench_array),
    "PDEBench, one group a seed": (pdebench_seedgroup.recognises, pdebench_seedgroup.open_pdebench_seedgroup),
    "PDEBench, incompressible flow": (
        pdebench_incompressible.recognises,
        pdebench_incompressible.open_pdebench_incompressible,
    ),
}


def open_source(
    path: Path | str, *, mapping: Mapping[str, Any] | Path | str | None = None, equation: str | None = None
) -> ArraySource:
    """The trajectories of an HDF5 file, which need not be trusted (`duhamel.datasets.guard`).

    mapping: what the file's datasets and axes are, for a layout of your own: a YAML file or its content
        (docs/own_data.md). Without it the layout is recognised.
    equation: name of the PDE where the file does not say it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    entries = None if mapping is None else read_mapping(mapping)
    survived(path, lambda: _open(path, entries))
    source = _open(path, entries)
    if equation is not None:
        source = replace(source, problem=replace(source.problem, equation=equation))
    return source


def _open(path: Path, mapping: Mapping[str, Any] | None) -> ArraySource:
    with opened(path) as file:
        return _recognised(file)(file, path) if mapping is None else open_mapped(file, path, mapping)


def _recognised(file: h5py.File) -> Opener:
    for recognises, opener in FORMATS.values():
        if recognises(file):
            return opener
    held = sorted(file)
    shown = ", ".join(held[:8]) + (", ..." if len(held) > 8 else "")
    raise ValueError(
        f"{file.filename}: layout not recognised; its root holds [{shown}]. Known are: {'; '.join(FORMATS)}. "
        "Any other is described by a mapping of about ten lines (docs/own_data.md)"
    )
