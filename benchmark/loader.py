"""Does the loader keep up with the disk? Windows a second against a bare loop of h5py slices; memory over an epoch.

    python -m duhamel.benchmark.loader [FILE] [--window 20] [--batch-size 64]

Without a file it writes one larger than any cache, (512, 201, 1024) in float32, contiguous. The bare loop reads the
same windows in the same order, one slice each, into nothing; both run in turn, after a round that warms the page cache.
Memory is measured on a file ten times larger than HDF5's chunk cache, chunked by frames, so that the cache is in use.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader

from duhamel.benchmark.resident import resident
from duhamel.datasets import Windows, open_source
from duhamel.datasets.arrays import ArraySource
from duhamel.datasets.loader import window_loader
from duhamel.datasets.windows import EpochShuffle
from duhamel.fields import Trajectory

SHAPE = (512, 201, 1024)
HDF5_CACHE = 8 * 2**20  # bytes a dataset, the default since HDF5 2.0


@dataclass(frozen=True)
class Speed:
    """Windows a second, medians over repeats of the whole epoch; ratios: loader over bare, of each repeat."""

    n_workers: int
    bare: float
    loader: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)


@dataclass(frozen=True)
class Memory:
    """Resident bytes of this process and its workers, in the first and the last quarter of an epoch."""

    n_workers: int
    file: int
    early: int
    late: int


def write_example(path: Path, shape: tuple[int, int, int] = SHAPE, *, chunked: bool = False) -> None:
    """A file in the layout of one array a variable, filled with noise trajectory by trajectory."""
    n, n_times, n_x = shape
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        chunks = (1, min(8, n_times), n_x) if chunked else None
        tensor = file.create_dataset("tensor", shape, np.float32, chunks=chunks)
        for i in range(n):
            tensor[i] = rng.standard_normal((n_times, n_x), dtype=np.float32)
        file["x-coordinate"] = ((np.arange(n_x) + 0.5) / n_x).astype(np.float32)
        file["t-coordinate"] = (0.01 * np.arange(n_times + 1)).astype(np.float32)
        file.attrs["beta"] = 0.1


def loader(windows: Windows, batch_size: int, n_workers: int) -> DataLoader[Trajectory]:
    """The training loader of `HDF5DataModule`."""
    sampler = EpochShuffle(len(windows), seed=0)
    return window_loader(windows, sampler, batch_size=batch_size, num_workers=n_workers)


def bare_epoch(windows: Windows, order: Sequence[int]) -> float:
    """Seconds for one slice a window out of datasets that stay open; no batch, no tensor."""
    source = windows.sources[0]
    if (
        not isinstance(source, ArraySource)
        or source.groups
        or any(v.axes[:2] != ("sample", "time") for v in source.states)
    ):
        raise ValueError(f"{source.path}: the bare loop needs arrays that begin with axes sample and time")
    with h5py.File(source.path, "r") as file:
        datasets = [file[variable.dataset] for variable in source.states]
        places = [windows.locate(i) for i in order]
        start = time.perf_counter()
        for _, trajectory, first in places:
            for dataset in datasets:
                dataset[trajectory, first : first + windows.length]
        return time.perf_counter() - start


def loader_epoch(batches: DataLoader[Trajectory]) -> float:
    """Seconds for every batch of an epoch, workers being up."""
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def speed(windows: Windows, *, batch_size: int, n_workers: int, n_repeats: int) -> Speed:
    """Alternate bare loop and loader over the same windows in the same order."""
    batches, order = loader(windows, batch_size, n_workers), list(EpochShuffle(len(windows), seed=0))
    bare_epoch(windows, order), loader_epoch(batches)
    pairs = [(bare_epoch(windows, order), loader_epoch(batches)) for _ in range(n_repeats)]
    return Speed(
        n_workers=n_workers,
        bare=len(windows) / statistics.median(b for b, _ in pairs),
        loader=len(windows) / statistics.median(t for _, t in pairs),
        ratios=tuple(b / t for b, t in pairs),
    )


def memory(windows: Windows, *, batch_size: int, n_workers: int) -> Memory:
    """Watch one epoch, sampled at every eighth batch."""
    samples = []
    for i, _ in enumerate(loader(windows, batch_size, n_workers)):
        if i % 8 == 0:
            samples.append(resident(os.getpid()))
    quarter = max(1, len(samples) // 4)
    return Memory(
        n_workers=n_workers,
        file=windows.sources[0].path.stat().st_size,
        # The first sample sees a process whose workers and cache are still filling.
        early=statistics.median_low(samples[1 : 1 + quarter] or samples),
        late=statistics.median_low(samples[-quarter:]),
    )


def report(speeds: Sequence[Speed], memories: Sequence[Memory], title: str) -> None:
    console = Console()
    table = Table("workers", "bare loop [1/s]", "loader [1/s]", "loader / bare", "range of the ratio", title=title)
    for s in speeds:
        spread = f"{min(s.ratios):.2f} to {max(s.ratios):.2f}"
        table.add_row(str(s.n_workers), f"{s.bare:.0f}", f"{s.loader:.0f}", f"{s.ratio:.2f}", spread)
    console.print(table)
    table = Table("workers", "file [MiB]", "first quarter [MiB]", "last quarter [MiB]", title="resident over an epoch")
    for m in memories:
        table.add_row(str(m.n_workers), *(f"{b / 2**20:.1f}" for b in (m.file, m.early, m.late)))
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m duhamel.benchmark.loader", description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--window", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    chosen = parser.parse_args(arguments)

    def windows(path: Path) -> Windows:
        source = open_source(path)
        return Windows([source], [range(source.n_trajectories)], length=chosen.window)

    with tempfile.TemporaryDirectory() as folder:
        path = chosen.file or Path(folder) / "speed.hdf5"
        if chosen.file is None:
            write_example(path)
        large = Path(folder) / "memory.hdf5"
        write_example(large, (10 * HDF5_CACHE // (4 * 201 * 1024) + 1, 201, 1024), chunked=True)
        options = {"batch_size": chosen.batch_size}
        speeds = [speed(windows(path), n_workers=n, n_repeats=chosen.repeats, **options) for n in chosen.workers]
        memories = [memory(windows(large), n_workers=n, **options) for n in chosen.workers]
        source = open_source(path)
        shape = (source.n_trajectories, source.n_times, len(source.problem.channels), *source.problem.grid.shape)
        report(speeds, memories, f"windows of {chosen.window} states, batches of {chosen.batch_size}, {shape}")


if __name__ == "__main__":
    main()
