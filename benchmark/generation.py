"""What does a data set cost? Time and memory of `duhamel.datasets.generate`, which states the numerical error itself.

    python -m duhamel.benchmark.generation +recipe=pdebench_burgers out=FILE.hdf5 workers=2 shard_size=64

Takes the arguments of generate, which it runs. The memory of all its processes is noted every second; the command ends
with status 1 where its median in the last quarter of the time is more than a tenth above that in the second quarter.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from duhamel.benchmark.resident import resident
from duhamel.datasets import open_source

GROWTH = 1.1
EVERY = 1.0


def watch(process: "subprocess.Popen[bytes]") -> list[int]:
    """Bytes in memory, every second until the process ends."""
    samples = []
    while process.poll() is None:
        try:
            samples.append(resident(process.pid))
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            break
        time.sleep(EVERY)
    return samples


def quarters(samples: Sequence[int]) -> list[float]:
    """Medians over the quarters of the time."""
    n = len(samples)
    if n < 4:
        raise ValueError(f"memory was noted {n} times; the run must take 4 seconds or more")
    return [float(statistics.median(samples[k * n // 4 : (k + 1) * n // 4])) for k in range(4)]


def main(arguments: Sequence[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    chosen = dict(a.split("=", 1) for a in arguments if "=" in a)
    if "out" not in chosen:
        sys.exit("error: out=FILE.hdf5 is missing; the arguments are those of duhamel.datasets.generate")
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "duhamel.datasets.generate", *arguments])
    samples = watch(process)
    if process.wait():
        sys.exit(process.returncode)
    seconds = time.perf_counter() - start
    source = open_source(Path(chosen["out"]))
    medians = quarters(samples)
    table = Table("trajectories", "seconds", "a second", "MiB in memory, by quarters of the time", "most")
    table.add_row(
        str(source.n_trajectories),
        f"{seconds:.1f}",
        f"{source.n_trajectories / seconds:.2f}",
        ", ".join(f"{m / 2**20:.0f}" for m in medians),
        f"{max(samples) / 2**20:.0f}",
    )
    Console().print(table)
    if medians[3] > GROWTH * medians[1]:
        sys.exit("memory grows")


if __name__ == "__main__":
    main()
