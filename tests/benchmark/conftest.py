"""What all tests of the benchmark share."""

from collections.abc import Iterator

import pytest

from duhamel.benchmark import uncertainty


@pytest.fixture(scope="session", autouse=True)
def _few_resamples() -> Iterator[None]:
    """The checker of shapes makes each one slow; intervals get rougher, not wrong."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uncertainty, "N_RESAMPLES", 49)
        yield
