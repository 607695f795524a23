"""Memory of a run: that of children counts, and growth is seen."""

import os
import subprocess
import sys

import pytest

from duhamel.benchmark.generation import quarters
from duhamel.benchmark.resident import resident

HOLD = "held = bytearray(b'x') * 60_000_000; print(flush=True); input()"


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="memory is measured from Linux's /proc")
def test_memory_of_children_counts_until_they_end() -> None:
    before = resident(os.getpid())
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdout.readline()
        assert 5e7 < resident(os.getpid()) - before < 1e8 and resident(child.pid) > 6e7
        child.stdin.write(b"\n")
    assert resident(os.getpid()) - before < 2e7


def test_quarters_are_medians_of_the_time() -> None:
    assert quarters([1, 1, 9, 2, 2, 2, 3, 50, 3, 4, 4, 5]) == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="3 times"):
        quarters([1, 2, 3])
