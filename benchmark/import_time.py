"""How long `import duhamel` and opening a saved surrogate take: `python -m duhamel.benchmark.import_time [FILE]`.

Every figure is the median over fresh processes, taken in turn so that a busy machine slows all of them alike.
"""

import argparse
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from duhamel.version import __version__

# importing duhamel / importing the torch and lightning that training would import anyway
MAX_RATIO = 1.2
MAX_LOAD_SECONDS = 1.0


def seconds(setup: str, statement: str) -> float:
    """Wall time of a statement in a fresh process, after its setup; the interpreter's own start is not counted."""
    code = (
        "import time\n"
        f"{setup}\n"
        "start = time.perf_counter()\n"
        f"{statement}\n"
        "stop = time.perf_counter()\n"
        "print(stop - start)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"`{setup}; {statement}` failed:\n{done.stderr}")
    return float(done.stdout.splitlines()[-1])


def median_seconds(statements: Mapping[str, tuple[str, str]], repeats: int) -> dict[str, float]:
    """Median wall time of each (setup, statement).

    One round goes before those that count: it writes bytecode and fills the file cache.
    """
    if repeats < 1:
        raise ValueError(f"at least one repeat is needed, got {repeats}")
    rounds = [{name: seconds(*code) for name, code in statements.items()} for _ in range(repeats + 1)][1:]
    return {name: statistics.median(times[name] for times in rounds) for name in statements}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures; 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m duhamel.benchmark.import_time", description=__doc__)
    parser.add_argument("surrogate", type=Path, nargs="?", help="a saved surrogate, to time duhamel.load")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args(arguments)
    statements = {"baseline": ("pass", "import torch, lightning"), "duhamel": ("pass", "import duhamel")}
    if given.surrogate is not None:
        statements["load"] = ("import duhamel", f"duhamel.load({str(given.surrogate)!r})")
    times = median_seconds(statements, given.repeats)

    ratio = times["duhamel"] / times["baseline"]
    print(f"duhamel {__version__}, Python {platform.python_version()}, {platform.machine()}; median of {given.repeats}")
    print(f"import torch, lightning  {times['baseline']:7.3f} s")
    print(f"import duhamel           {times['duhamel']:7.3f} s   ratio {ratio:.2f}, target < {MAX_RATIO}")
    met = ratio < MAX_RATIO
    if "load" in times:
        print(f"duhamel.load             {times['load']:7.3f} s   target < {MAX_LOAD_SECONDS}")
        met = met and times["load"] < MAX_LOAD_SECONDS
    else:
        print("duhamel.load             not timed: no surrogate file given")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
