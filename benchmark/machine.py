"""The machine that times are from, and whether it had anything else to do."""

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import torch

LIBRARIES = ("torch", "numpy", "scipy", "neuraloperator")
# They change how many threads libraries take.
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


def machine() -> dict[str, Any]:
    """Processor, cores, threads, device, driver, versions, switches that change numbers or speed."""
    gpu = torch.cuda.is_available()
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if gpu else None,
        "driver": _driver() if gpu else None,
        "cuda": torch.version.cuda if gpu else None,
        "tf32": torch.backends.cuda.matmul.allow_tf32 if gpu else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def load_of_others(seconds: float = 0.5) -> float:
    """Share of the cores that others keep busy while this process sleeps; from the load average where /proc is absent.

    The load average itself lags by a minute and counts what this process has just done.
    """
    stat = Path("/proc/stat")
    if not stat.is_file():
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    before = _idle(stat)
    time.sleep(seconds)
    after = _idle(stat)
    total = after[1] - before[1]
    return 1 - (after[0] - before[0]) / total if total else 0.0


def _idle(stat: Path) -> tuple[int, int]:
    """Ticks of idle (waiting for disks included) and of all."""
    ticks = [int(x) for x in stat.read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def require_quiet(bound: float | None) -> float:
    """The load of others; ValueError where it exceeds `bound`. None measures only."""
    load = load_of_others()
    if bound is not None and load > bound:
        raise ValueError(
            f"others keep {100 * load:.0f} % of the cores busy, {100 * bound:.0f} % are allowed: times would be "
            "worthless. Wait, or set benchmark.max_load=null and do not trust the times"
        )
    return load


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
