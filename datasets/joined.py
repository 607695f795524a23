"""Several files of our layout as one: copied, or an HDF5 virtual data set that points at them."""

import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from duhamel.datasets.unfinished import partial, publish, remove_abandoned, reserve

# Bytes that a copy holds at once.
BLOCK = 1 << 24


def join(parts: Sequence[Path], out: Path, *, virtual: bool) -> None:
    """Write `out`, the trajectories of the parts in their order; it appears whole or not at all.

    The parts are alike in all but their trajectories. virtual: fields stay where they are and `out` points at them,
    by paths relative to its own folder; numbers are always copied.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(out)
    written = partial(out)
    try:
        with h5py.File(written, "w") as file, h5py.File(parts[0], "r") as first:
            if not virtual:
                reserve(written, sum(path.stat().st_size for path in parts))
            counts = [_count(path) for path in parts]
            # Not overwritten but written once: HDF5 would leave traces of the old values.
            own = {"dataset_name": out.stem, "n_trajectories": sum(counts)}
            for name, value in (dict(first.attrs) | own).items():
                file.attrs[name] = value

            def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
                if isinstance(item, h5py.Group):
                    target = file.create_group(name)
                elif not item.attrs.get("sample_varying", False):
                    target = file.create_dataset(name, data=item[()])
                elif virtual and item.ndim > 1:
                    target = file.create_virtual_dataset(name, _layout(item, parts, counts, out.parent), np.nan)
                else:
                    target = _copied(file, item, parts, counts)
                _copy_attributes(item, target)

            first.visititems(visit)
            size = file.id.get_filesize()
        os.truncate(written, size)
        publish(written, out)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def parts_of(path: Path) -> tuple[Path, ...]:
    """Files that a virtual data set points at; none where it is a plain file."""
    found: dict[Path, None] = {}
    with h5py.File(path, "r", locking="best-effort") as file:

        def visit(_: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset) and item.is_virtual:
                found.update((path.parent / source.file_name, None) for source in item.virtual_sources())

        file.visititems(visit)
    return tuple(found)


def require_parts(path: Path) -> None:
    """ValueError where a file that a virtual data set points at is absent: HDF5 would answer NaN for it."""
    parts = parts_of(path)
    if missing := [part for part in parts if not part.is_file()]:
        raise ValueError(
            f"{path}: it joins {len(parts)} files, of which {len(missing)} are absent, the first being {missing[0]}; "
            "they must lie where they were made, relative to it"
        )


def _count(path: Path) -> int:
    with h5py.File(path, "r") as file:
        return int(file.attrs["n_trajectories"])


def _copy_attributes(source: h5py.HLObject, target: h5py.HLObject) -> None:
    for name, value in source.attrs.items():
        target.attrs[name] = value


def _layout(item: h5py.Dataset, parts: Sequence[Path], counts: Sequence[int], folder: Path) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout((sum(counts), *item.shape[1:]), item.dtype)
    layout.dcpl.set_obj_track_times(False)  # as everywhere in h5py: bits do not depend on the hour
    start = 0
    for path, n in zip(parts, counts, strict=True):
        name = os.path.relpath(path, folder)
        layout[start : start + n] = h5py.VirtualSource(name, item.name, (n, *item.shape[1:]), item.dtype)
        start += n
    return layout


def _copied(file: h5py.File, item: h5py.Dataset, parts: Sequence[Path], counts: Sequence[int]) -> h5py.Dataset:
    target = file.create_dataset(item.name, (sum(counts), *item.shape[1:]), item.dtype, chunks=item.chunks)
    rows = max(1, BLOCK // max(1, item.dtype.itemsize * int(np.prod(item.shape[1:], dtype=np.int64))))
    start = 0
    for path, n in zip(parts, counts, strict=True):
        with h5py.File(path, "r") as part:
            for row in range(0, n, rows):
                stop = min(row + rows, n)
                target[start + row : start + stop] = part[item.name][row:stop]
        start += n
    return target
