"""Files that nobody vouches for: what one may not hold is refused by name, before anything is read from it."""

import math
import os
import pickle
import signal
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import yaml

# An array larger than this may not be more than EXPANSION times what is stored of it. Fields compress 2-fold, masks
# 100-fold; one level of gzip cannot exceed 1032.
LARGE = 1 << 26
EXPANSION = 1000
# HDF5 holds a whole chunk in memory, in each process that reads.
LARGEST_CHUNK = 1 << 30
# Seconds that opening a file may take; ten thousand groups on a slow disk take some.
PATIENCE = 120.0
_survived: set[tuple[Path, int, int, int]] = set()

# What h5py, NumPy and YAML raise where a file is not what it says.
DAMAGE = (
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    SystemError,
    EOFError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
    yaml.YAMLError,
)


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file to read names, shapes and attributes from, once it has been inspected.

    Raises FileNotFoundError or PermissionError, or ValueError naming the file: where it is not HDF5, where `inspect`
    refuses it, and where HDF5 or what is done with it in the block finds it damaged.
    """
    with path.open("rb"):  # says why it cannot be read, which HDF5 does not
        pass
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path}: not an HDF5 file; `python -m duhamel.datasets.convert` turns other kinds into one")
    with damage_named(path), h5py.File(path, "r", locking="best-effort") as file:
        inspect(file, path)
        yield file


def survived(path: Path, look: Callable[[], object]) -> None:
    """Has a forked child look at a file first. On some damaged files HDF5 never comes back, and nobody can stop it.

    Raises ValueError where the child crashed or took longer than PATIENCE; what `look` raises is left to the caller's
    own look. Once for each version of a file; not where there is no fork.
    """
    status = path.stat()
    version = (path.absolute(), status.st_ino, status.st_mtime_ns, status.st_size)
    if version in _survived or not hasattr(os, "fork"):
        return
    pid = os.fork()
    if not pid:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            look()
        finally:
            os._exit(0)
    _, code = os.waitpid(pid, 0)
    if os.WIFSIGNALED(code):
        number = os.WTERMSIG(code)
        what = (
            f"takes longer than {PATIENCE:g} s"
            if number == signal.SIGALRM
            else f"ends by {signal.Signals(number).name}"
        )
        raise ValueError(f"{path}: opening it {what}: damaged, or made to do harm")
    _survived.add(version)


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turns what libraries raise over a damaged file into a ValueError that names it; our own errors pass."""
    try:
        yield
    except NotImplementedError:
        raise
    except (ValueError, OSError, *DAMAGE) as error:
        if isinstance(error, ValueError | OSError) and str(path.name) in str(error):
            raise
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"{path}: damaged, or not of the layout that it seems to have ({said:.300})") from error


def inspect(file: h5py.File, path: Path, seen: set[Path] | None = None) -> None:
    """Refuses, by ValueError, a file that reaches out of its folder or declares far more than it holds.

    Links to other files and raw storage in other files are refused; files that a virtual data set joins must lie in its
    folder or below, and are inspected too.
    """
    seen = set() if seen is None else seen
    seen.add(path)
    links: dict[str, object] = {}
    datasets: list[str] = []
    # Only collected here: h5py loses what a visitor raises.
    file.visititems_links(links.__setitem__)
    file.visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
    for name, link in links.items():
        if isinstance(link, h5py.ExternalLink):
            raise ValueError(
                f"{path}: {name!r} links to another file, {link.filename}; copy what it means into this one"
            )
    joined: set[str] = set()
    for name in datasets:
        dataset = file[name]
        if dataset.is_virtual:
            joined.update(source.file_name for source in dataset.virtual_sources())
        elif dataset.external:
            raise ValueError(f"{path}: dataset {name!r} keeps its values in another file, {dataset.external[0][0]}")
        elif dataset.shape is not None:
            _require_small(dataset, f"{path}: dataset {name!r}")
    folder = Path(os.path.abspath(path.parent))
    for name in sorted(joined - {"."}):
        part = Path(os.path.abspath(folder / name))
        if not part.is_relative_to(folder) or "%" in name:
            raise ValueError(f"{path}: joins {name}, which does not lie in its folder")
        if part not in seen and part.is_file():  # an absent one is said by the reader
            with damage_named(part), h5py.File(part, "r", locking="best-effort") as other:
                inspect(other, part, seen)


def _require_small(dataset: h5py.Dataset, place: str) -> None:
    size = dataset.dtype.itemsize
    require_held(math.prod(dataset.shape) * size, dataset.id.get_storage_size(), place)
    chunk = math.prod(dataset.chunks or (0,)) * size
    if chunk > LARGEST_CHUNK:
        raise ValueError(
            f"{place} has chunks of {chunk} bytes, read are at most {LARGEST_CHUNK}; change them with h5repack"
        )


def inspect_archive(path: Path) -> None:
    """Refuses a zip archive (.npz, .pt) whose entries unfold to far more than the archive holds."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            require_held(entry.file_size, entry.compress_size, f"{path}: {entry.filename!r}")


def require_held(declared: int, stored: int, place: str) -> None:
    """Refuses, by ValueError, what would unfold from `stored` bytes to many more."""
    if declared > LARGE and declared > EXPANSION * stored:
        raise ValueError(
            f"{place} declares {declared} bytes, of which {stored} are stored: damaged, or made to exhaust memory"
        )
