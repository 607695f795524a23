"""Which format a file is in: decided by what it holds, never by its name or extension."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py

from duhamel.datasets import pdebench_array, pdebench_incompressible, pdebench_seedgroup, well
from duhamel.datasets.arrays import ArraySource
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
    """The trajectories of an HDF5 file.

    mapping: what the file's datasets and axes are, for a layout of your own: a YAML file or its content
        (docs/own_data.md). Without it the layout is recognised.
    equation: name of the PDE where the file does not say it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path}: not an HDF5 file; `python -m duhamel.datasets.convert` turns other kinds into one")
    with h5py.File(path, "r", locking="best-effort") as file:
        if mapping is not None:
            source = open_mapped(file, path, read_mapping(mapping))
        else:
            source = _recognised(file)(file, path)
    if equation is not None:
        source = replace(source, problem=replace(source.problem, equation=equation))
    return source


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
