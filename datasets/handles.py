"""Open HDF5 files, kept per process.

Opening a file per item costs more than reading a window, so files and datasets stay open, the least recently used
closed first. A handle neither pickles nor survives a fork: nobody holds one, everybody asks here, and a child process
finds an empty cache.
"""

import os
from collections import OrderedDict
from pathlib import Path

import h5py

# Each open dataset may hold a chunk cache (1 to 8 MiB); this many files bound what a worker keeps.
MAX_OPEN_FILES = 32


class _OpenFile:
    """A file and those of its datasets that were asked for: looking one up by name costs more than a small read."""

    def __init__(self, path: Path, stamp: tuple[int, int, int]) -> None:
        self.stamp = stamp
        self.file = h5py.File(path, "r", locking="best-effort")
        self.datasets: dict[str, h5py.Dataset] = {}


_open: OrderedDict[Path, _OpenFile] = OrderedDict()
_owner = os.getpid()
# Closing a parent's handle in the child would touch state that the two share; it is forgotten, not closed.
_inherited: list[object] = []


def dataset(path: Path, name: str) -> h5py.Dataset:
    """An open dataset. Do not keep it across calls: ask again, that is a dictionary look-up.

    A file that was replaced on disk since is opened anew.
    """
    global _open, _owner
    if os.getpid() != _owner:
        _inherited.append(_open)
        _open, _owner = OrderedDict(), os.getpid()
    status = os.stat(path)
    stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
    entry = _open.get(path)
    if entry is not None and entry.stamp != stamp:
        close(path)
        entry = None
    if entry is None:
        entry = _open[path] = _OpenFile(path, stamp)
        while len(_open) > MAX_OPEN_FILES:
            _open.popitem(last=False)[1].file.close()
    else:
        _open.move_to_end(path)
    found = entry.datasets.get(name)
    if found is None:
        item = entry.file.get(name)
        if not isinstance(item, h5py.Dataset):
            raise ValueError(f"{path}: dataset {name!r} is absent")
        found = entry.datasets[name] = item
    return found


def close(path: Path) -> None:
    """Close this process's handle of one file, where there is one."""
    entry = _open.pop(path, None)
    if entry is not None and os.getpid() == _owner:
        entry.file.close()


def close_all() -> None:
    """Close every handle of this process."""
    for path in list(_open):
        close(path)


def open_files() -> tuple[Path, ...]:
    """Paths of the files open in this process, the least recently used first."""
    return tuple(_open) if os.getpid() == _owner else ()
