"""Times of things that do the same work: in turn, in one process, medians; and what the machine can do at best."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Times:
    """Seconds of each repeat, after warm-up; round i of one contender ran next to round i of the others."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def over(self, other: "Times") -> tuple[float, float, float]:
        """How many times longer than `other`: quartile, median, quartile of the ratios of neighbouring rounds."""
        ratios = [a / b for a, b in zip(self.seconds, other.seconds, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return low, middle, high


def in_turn(
    contenders: Mapping[str, Callable[[], object]], *, repeats: int, warm_up: int, device: torch.device
) -> dict[str, Times]:
    """Runs all contenders once a round, so that a change of the machine's mood meets all of them."""

    def timed(run: Callable[[], object]) -> float:
        _synchronise(device)
        start = time.perf_counter()
        run()
        _synchronise(device)
        return time.perf_counter() - start

    for run in contenders.values():
        for _ in range(warm_up):
            run()
    rounds = [{name: timed(run) for name, run in contenders.items()} for _ in range(repeats)]
    return {name: Times(tuple(r[name] for r in rounds)) for name in contenders}


def copy_bandwidth(device: torch.device, *, size: int = 2**26) -> float:
    """Bytes a second, read and written, of copying float32 numbers that no cache holds."""
    source, target = torch.zeros(size, device=device), torch.zeros(size, device=device)
    times = in_turn({"copy": lambda: target.copy_(source)}, repeats=5, warm_up=2, device=device)
    return 2 * 4 * size / min(times["copy"].seconds)


def product_rate(dtype: torch.dtype, device: torch.device, *, size: int = 1536) -> float:
    """Operations a second of a large square matrix product."""
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    times = in_turn({"product": lambda: a @ b}, repeats=5, warm_up=2, device=device)
    return 2 * size**3 / min(times["product"].seconds)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
