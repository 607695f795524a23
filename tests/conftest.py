"""Fixtures every folder shares."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real files that nobody here wrote; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("DUHAMEL_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data folder {folder} is absent (set DUHAMEL_DATA)")
    return folder


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Weights are drawn from torch's global generator."""
    torch.manual_seed(0)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Without the run-time checker, whose calls torch.compile and torch.export cannot trace."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def _many_calls_go_unchecked(request: pytest.FixtureRequest) -> None:
    """Whole trainings, long integrations and chains call what other tests check, a thousand times over."""
    if request.node.get_closest_marker("slow") or request.path.parent.name in {"verification", "inverse", "benchmark"}:
        request.getfixturevalue("unchecked")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    # Lazily: a log of the test's own process may still be open.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
