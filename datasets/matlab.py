"""MATLAB's two file formats, seen with the axes that MATLAB shows."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from duhamel.datasets.guard import damage_named, inspect, require_held

# Both formats open with a line of text; version 7.3 is an HDF5 file behind a block of 512 bytes.
V5_MAGIC, V73_MAGIC = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"


class Reversed:
    """A dataset of an HDF5 file with its axes in the opposite order, read slice by slice.

    MATLAB stores columns first and writes the shape reversed into version 7.3 files, so that C order fits.
    """

    def __init__(self, stored: h5py.Dataset) -> None:
        self._stored = stored
        self.shape: tuple[int, ...] = stored.shape[::-1]
        self.dtype: np.dtype[Any] = stored.dtype

    def __getitem__(self, index: tuple[int | slice, ...]) -> np.ndarray:
        """One integer or slice an axis."""
        if len(index) != len(self.shape):
            raise ValueError(f"{len(self.shape)} indices expected, got {index}")
        return np.asarray(self._stored[index[::-1]]).T


class MatlabV73(Mapping[str, Reversed]):
    """Numeric variables of a version 7.3 file; others (cells, strings, structures, sparse arrays) are left out."""

    def __init__(self, path: Path) -> None:
        self._file = h5py.File(path, "r")
        with damage_named(path):
            inspect(self._file, path)
        self._names = [
            name
            for name, item in self._file.items()
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiub" and "MATLAB_empty" not in item.attrs
        ]

    def __getitem__(self, name: str) -> Reversed:
        if name not in self._names:
            raise KeyError(name)
        return Reversed(self._file[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def load_v5(path: Path) -> dict[str, np.ndarray]:
    """Numeric variables of a file of version 4 to 7.2, all in memory (the format has no partial reading)."""
    for name, shape, kind in scipy.io.whosmat(path):
        # Eight bytes an element at most, but for complex ones.
        require_held(16 * math.prod(shape), path.stat().st_size, f"{path}: variable {name!r}, {kind} {shape},")
    variables = scipy.io.loadmat(path)
    return {
        name: value
        for name, value in variables.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and value.size
    }
