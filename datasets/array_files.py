"""Files that hold named arrays and do not say what they mean: .pt, .npy, .npz, .mat and plain HDF5."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol, runtime_checkable

import h5py
import numpy as np
import torch

from duhamel.datasets.guard import damage_named, inspect, inspect_archive, survived
from duhamel.datasets.matlab import V5_MAGIC, V73_MAGIC, MatlabV73, load_v5

# Name under which the only array of a .npy file, or of a .pt file that is one tensor, appears.
SOLE = "array"


@runtime_checkable
class Array(Protocol):
    """What NumPy arrays, memory maps and HDF5 datasets share: a shape, a type, and reading by slices."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, index: tuple[int | slice, ...], /) -> Any: ...


class HDF5Arrays(Mapping[str, h5py.Dataset]):
    """Numeric datasets of an HDF5 file by their full names."""

    def __init__(self, path: Path) -> None:
        self._file = h5py.File(path, "r")
        with damage_named(path):
            inspect(self._file, path)
        self._names: list[str] = []
        self._file.visititems(self._collect)

    def _collect(self, name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiub" and item.ndim:
            self._names.append(name)

    def __getitem__(self, name: str) -> h5py.Dataset:
        if name not in self._names:
            raise KeyError(name)
        return self._file[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def open_arrays(path: Path) -> Mapping[str, Array]:
    """The named arrays of a file, whose kind is told by its content, not by its name.

    Pickled objects are refused: neither torch nor NumPy may run code from a data file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is absent")
    survived(path, lambda: _open(path))
    with damage_named(path):
        return _open(path)


def _open(path: Path) -> Mapping[str, Array]:
    with path.open("rb") as file:
        start = file.read(128)
    if start.startswith(V73_MAGIC):
        return MatlabV73(path)
    if start.startswith(V5_MAGIC):
        return load_v5(path)
    if h5py.is_hdf5(path):
        return HDF5Arrays(path)
    if start.startswith(b"\x93NUMPY"):
        return {SOLE: np.load(path, mmap_mode="r", allow_pickle=False)}
    if zipfile.is_zipfile(path):
        inspect_archive(path)
        with zipfile.ZipFile(path) as archive:
            numpy_archive = all(name.endswith(".npy") for name in archive.namelist())
        return dict(np.load(path, allow_pickle=False)) if numpy_archive else _load_torch(path)
    raise ValueError(f"{path}: neither PyTorch (zip), NumPy, MATLAB (version 5 or 7.3) nor HDF5, by its first bytes")


def _load_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        stored = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    except UnpicklingError as error:
        raise ValueError(
            f"{path}: damaged, or holds Python objects besides tensors, which are never loaded; save a dictionary of "
            "tensors"
        ) from error
    tensors = {SOLE: stored} if isinstance(stored, torch.Tensor) else stored
    if not isinstance(tensors, dict):
        raise ValueError(f"{path}: holds a {type(stored).__name__}, expected a tensor or a dictionary of tensors")
    return {str(k): v.detach().numpy() for k, v in tensors.items() if isinstance(v, torch.Tensor)}


def contents(arrays: Mapping[str, Array]) -> str:
    """What a file holds, for error messages."""
    return ", ".join(f"{name} {tuple(a.shape)} {a.dtype}" for name, a in arrays.items()) or "no numeric array"
