"""What all tests of the benchmark share."""

from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from duhamel.benchmark import uncertainty
from duhamel.benchmark.contest import Contest
from tests.benchmark.contests import contest


@pytest.fixture(scope="session", autouse=True)
def _few_resamples() -> Iterator[None]:
    """The checker of shapes makes each one slow; intervals get rougher, not wrong."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uncertainty, "N_RESAMPLES", 49)
        yield


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Contest, dict[str, Any]]:
    """The small benchmark, run once for all tests that only look at what came out."""
    made = contest(tmp_path_factory.mktemp("contest"))
    document = {"origin": {"commit": "0123456789abcdef", "version": "0"}, "result": made.run(Console(quiet=True))}
    return made, document
