"""Damaged data files, many of them: is each read in its right shape, or refused by one clear error?

    python -m duhamel.benchmark.fuzz FILE... [--cases 10000] [--seed 0] [--limit 10]

Each case alters a copy of one file (bits, bytes, blocks of zeros, a cut, pieces moved), mostly where HDF5 keeps its
structure, then opens and reads it in a forked process with 4 GiB of address space. Counted are reads, refusals
(ValueError or OSError that names the file), and what must not be: other exceptions, wrong shapes, crashes of the
interpreter and cases longer than `limit` seconds. Exit status 1 where there is any of these.
"""

import argparse
import os
import random
import resource
import select
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from duhamel.datasets import guard, handles, open_source

READ, REFUSED, OTHER, SHAPE, CRASH, HANG = "read", "refused", "other exception", "wrong shape", "crash", "hang"
MEMORY = 4 << 30
Mutation = Callable[[bytearray, Callable[[], int], random.Random], None]


def bits(content: bytearray, place: Callable[[], int], rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 4, 32))):
        content[place()] ^= 1 << rng.randrange(8)


def replaced(content: bytearray, place: Callable[[], int], rng: random.Random) -> None:
    start, value = place(), rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    for i in range(start, min(start + rng.choice((1, 2, 4, 8)), len(content))):
        content[i] = value


def zeros(content: bytearray, place: Callable[[], int], rng: random.Random) -> None:
    start = place()
    stop = min(start + rng.choice((8, 64, 512)), len(content))
    content[start:stop] = bytes(stop - start)


def cut(content: bytearray, place: Callable[[], int], rng: random.Random) -> None:
    del content[rng.randrange(len(content)) :]


def moved(content: bytearray, place: Callable[[], int], rng: random.Random) -> None:
    source, target, n = place(), place(), rng.choice((8, 64, 256))
    n = min(n, len(content) - max(source, target))
    content[target : target + n] = content[source : source + n]


MUTATIONS: tuple[Mutation, ...] = (bits, replaced, zeros, cut, moved)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Altered in one way; half of the places lie in the first and last 8 KiB."""
    altered = bytearray(content)
    n, near = len(altered), min(len(altered), 8192)

    def place() -> int:
        where = rng.random()
        return rng.randrange(near) if where < 0.4 else n - 1 - rng.randrange(near) if where < 0.5 else rng.randrange(n)

    rng.choice(MUTATIONS)(altered, place, rng)
    return bytes(altered)


def outcome(path: Path) -> str:
    """Opens a file and reads its first two trajectories."""
    try:
        source = open_source(path)
        for i in range(min(source.n_trajectories, 2)):
            u, fields = source.read(i, 0, source.n_times), source.read_coefficients(i)
            problem, space = source.problem, source.problem.grid.shape
            if u.shape != (source.n_times, len(problem.channels), *space):
                return SHAPE
            if fields.shape != (len(problem.coefficients), *space):
                return SHAPE
    except (ValueError, OSError, NotImplementedError) as error:
        return REFUSED if path.name in str(error) else f"{OTHER}: {type(error).__name__} without the file's name"
    except Exception as error:
        return f"{OTHER}: {type(error).__name__}"
    return READ


def fuzz(files: Sequence[Path], cases: int, *, seed: int = 0, limit: float = 10.0) -> dict[int, str]:
    """Outcome of each case."""
    contents = [(path.name, path.read_bytes()) for path in files]
    outcomes: dict[int, str] = {}
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        while len(outcomes) < cases:
            _chunk(contents, range(len(outcomes), cases), Path(folder), outcomes, seed=seed, limit=limit)
    return outcomes


def _chunk(
    contents: Sequence[tuple[str, bytes]],
    cases: range,
    folder: Path,
    outcomes: dict[int, str],
    *,
    seed: int,
    limit: float,
) -> None:
    """Cases in one child, as many as it survives."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        try:
            _child(contents, cases, folder, writing, seed, limit / 4)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        for case in cases:
            if not select.select([pipe], [], [], limit)[0]:
                os.kill(pid, signal.SIGKILL)
                outcomes[case] = HANG
                break
            line = pipe.readline()
            if not line:
                outcomes[case] = CRASH
                break
            outcomes[case] = line.decode().strip()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and outcomes[case] == CRASH:
        outcomes[case] += f": signal {os.WTERMSIG(status)}"


def _child(
    contents: Sequence[tuple[str, bytes]], cases: range, folder: Path, pipe: int, seed: int, patience: float
) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    guard.PATIENCE = patience
    warnings.simplefilter("ignore")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    for case in cases:
        rng = random.Random(f"{seed} {case}")
        name, content = rng.choice(contents)
        path = folder / name
        path.write_bytes(mutated(content, rng))
        said = outcome(path)
        handles.close_all()
        os.write(pipe, f"{said}\n".encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=10.0, help="seconds a case may take")
    options = parser.parse_args()
    outcomes = fuzz(options.files, options.cases, seed=options.seed, limit=options.limit)
    table = Table("outcome", "cases", title=f"{len(options.files)} files, seed {options.seed}")
    for said, n in Counter(outcomes.values()).most_common():
        table.add_row(said, str(n))
    Console().print(table)
    if bad := {case: said for case, said in outcomes.items() if said not in (READ, REFUSED)}:
        sys.exit(f"cases {bad}")


if __name__ == "__main__":
    main()
