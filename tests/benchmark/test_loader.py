"""The loader's benchmark measures what it says; its figures are for a quiet machine, not for a test."""

import os
from pathlib import Path

import pytest

from duhamel.benchmark.loader import memory, speed, write_example
from duhamel.benchmark.resident import resident
from duhamel.datasets import Windows, open_source

linux = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is measured from /proc")


@pytest.fixture
def windows(tmp_path: Path) -> Windows:
    write_example(tmp_path / "a.hdf5", (4, 9, 32))
    return Windows([open_source(tmp_path / "a.hdf5")], [range(4)], length=3)


def test_both_loops_run_over_the_same_windows(windows: Windows) -> None:
    measured = speed(windows, batch_size=8, n_workers=0, n_repeats=3)
    assert len(measured.ratios) == 3 and measured.bare > 0 and measured.loader > 0


@linux
def test_memory_counts_what_is_held(windows: Windows) -> None:
    before = resident(os.getpid())
    held = os.urandom(32 * 2**20)
    assert 0.9 * len(held) < resident(os.getpid()) - before < 1.5 * len(held)
    assert memory(windows, batch_size=2, n_workers=0).late > 32 * 2**20
