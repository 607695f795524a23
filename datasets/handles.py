"""Open HDF5 files, kept per process.

Opening a file per item costs more than reading a window, so files and datasets stay open, the least recently used
closed first. A handle neither pickles nor survives a fork: nobody holds one, everybody asks here, and a child process
finds an empty cache.
"""

import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from duhamel.datasets.guard import damage_named

# Each open dataset may hold a chunk cache (1 to 8 MiB); this many files bound what a worker keeps.
MAX_OPEN_FILES = 32
# Seconds after which a file is looked at again for having been replaced on disk.
CHECK_EVERY = 1.0
# Kinds of element that states and parameters have: floating-point, integer, boolean.
NUMERIC = "fiub"


@dataclass(frozen=True)
class Stored:
    """An open dataset.

    descriptor, offset, strides: where its elements lie in the file, in bytes, if it is one uncompressed block of
        native floats: such a block is read without HDF5, which costs as much as a small read itself. Else descriptor
        is -1.
    """

    dataset: h5py.Dataset
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    descriptor: int
    offset: int
    strides: tuple[int, ...]

    @property
    def plain(self) -> bool:
        return self.descriptor >= 0


class _OpenFile:
    """A file and those of its datasets that were asked for: looking one up by name costs more than a small read."""

    def __init__(self, path: Path) -> None:
        self.file = h5py.File(path, "r", locking="best-effort")
        self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self.stamp, self.checked = _stamp(path), time.monotonic()
        self.stored: dict[str, Stored] = {}

    def close(self) -> None:
        self.file.close()
        os.close(self.descriptor)


_open: OrderedDict[Path, _OpenFile] = OrderedDict()
_inherited: list[object] = []


def _forget() -> None:
    """Closing a parent's handle in the child would touch state that the two share: it is kept, and never used."""
    global _open
    _inherited.append(_open)
    _open = OrderedDict()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def stored(path: Path, name: str) -> Stored:
    """An open dataset. Do not keep it across calls: ask again, that is a dictionary look-up.

    A file that was replaced on disk is opened anew, after `CHECK_EVERY` seconds at the latest.
    """
    entry = _open.get(path)
    if entry is None or time.monotonic() - entry.checked >= CHECK_EVERY:
        entry = _checked(path)
    found = entry.stored.get(name)
    if found is None:
        with damage_named(path):
            item = entry.file.get(name)
            if not isinstance(item, h5py.Dataset):
                raise ValueError(f"{path}: dataset {name!r} is absent")
            if item.dtype.kind not in NUMERIC:
                raise ValueError(f"{path}: dataset {name!r} holds {item.dtype}, numbers are expected")
            found = entry.stored[name] = _described(item, entry.descriptor)
    return found


def close(path: Path) -> None:
    """Close this process's handle of one file, where there is one."""
    entry = _open.pop(path, None)
    if entry is not None:
        entry.close()


def close_all() -> None:
    """Close every handle of this process."""
    for path in list(_open):
        close(path)


def open_files() -> tuple[Path, ...]:
    """Paths of the files open in this process, the least recently used first."""
    return tuple(_open)


def _checked(path: Path) -> _OpenFile:
    entry = _open.get(path)
    if entry is not None and entry.stamp != _stamp(path):
        close(path)
        entry = None
    if entry is None:
        entry = _open[path] = _OpenFile(path)
        while len(_open) > MAX_OPEN_FILES:
            _open.popitem(last=False)[1].close()
    # Only a check moves a file to the end: use is recorded to the second, which is all that the cap needs.
    _open.move_to_end(path)
    entry.checked = time.monotonic()
    return entry


def _stamp(path: Path) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns, status.st_size


def _described(dataset: h5py.Dataset, descriptor: int) -> Stored:
    dtype, shape = dataset.dtype, dataset.shape
    # No offset: chunked, compact, not yet allocated, or kept in other files.
    offset = dataset.id.get_offset() if dataset.external is None and not dataset.is_virtual else None
    plain = offset is not None and dtype.kind == "f" and dtype.isnative and hasattr(os, "preadv")
    strides = tuple(int(np.prod(shape[i + 1 :], dtype=np.int64)) * dtype.itemsize for i in range(len(shape)))
    return Stored(dataset, shape, dtype, descriptor if plain else -1, offset or 0, strides)
