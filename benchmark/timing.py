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

    @property
    def quartiles(self) -> tuple[float, float]:
        """Of a single repeat its own value, twice."""
        if len(self.seconds) == 1:
            return self.seconds[0], self.seconds[0]
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high

    def over(self, other: "Times") -> tuple[float, float, float]:
        """How many times longer than `other`: quartile, median, quartile of the ratios of neighbouring rounds."""
        ratios = [a / b for a, b in zip(self.seconds, other.seconds, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return low, middle, high


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How long to measure: at least `least` repeats, at most `repeats`, and `seconds` in all as far as these allow.

    warm_up: calls before the first repeat; a call that takes long gets fewer, at least one.
    """

    warm_up: int = 10
    repeats: int = 30
    least: int = 5
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.repeats or self.warm_up < 1 or self.seconds <= 0:
            raise ValueError(f"needs 1 <= least <= repeats, warm_up >= 1 and seconds > 0, got {self}")

    def repeats_of(self, seconds: float) -> int:
        """Of a call that takes so long."""
        return max(self.least, min(self.repeats, int(self.seconds / max(seconds, 1e-9))))


def spread_out(
    contenders: Mapping[str, Callable[[], object]], protocol: Protocol, device: torch.device
) -> dict[str, Times]:
    """In turn, and spread over all rounds: a contender of few repeats has them as far apart as one of many.

    So a change of the machine's mood meets all of them here too. Each is warmed up first.
    """
    counts = {}
    for name, run in contenders.items():
        first = timed(run, device)
        for _ in range(min(protocol.warm_up, max(1, int(0.5 * protocol.seconds / max(first, 1e-9))))):
            first = timed(run, device)
        counts[name] = protocol.repeats_of(first)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    n_rounds = max(counts.values(), default=0)
    for i in range(n_rounds):
        for name, run in contenders.items():
            if (i + 1) * counts[name] // n_rounds > i * counts[name] // n_rounds:
                seconds[name].append(timed(run, device))
    return {name: Times(tuple(s)) for name, s in seconds.items()}


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, the device's work included."""
    _synchronise(device)
    start = time.perf_counter()
    run()
    _synchronise(device)
    return time.perf_counter() - start


def in_turn(
    contenders: Mapping[str, Callable[[], object]], *, repeats: int, warm_up: int, device: torch.device
) -> dict[str, Times]:
    """Runs all contenders once a round, so that a change of the machine's mood meets all of them."""
    for run in contenders.values():
        for _ in range(warm_up):
            run()
    rounds = [{name: timed(run, device) for name, run in contenders.items()} for _ in range(repeats)]
    return {name: Times(tuple(r[name] for r in rounds)) for name in contenders}


def copy_bandwidth(device: torch.device) -> float:
    """Bytes a second, read and written, of copying float32 numbers that no cache holds."""
    size = 2**28 if device.type == "cuda" else 2**26  # long enough that the call itself does not count
    source, target = torch.zeros(size, device=device), torch.zeros(size, device=device)
    times = in_turn({"copy": lambda: target.copy_(source)}, repeats=5, warm_up=2, device=device)
    return 2 * 4 * size / min(times["copy"].seconds)


def product_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of a large square matrix product."""
    size = 8192 if device.type == "cuda" else 1536
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    times = in_turn({"product": lambda: a @ b}, repeats=5, warm_up=2, device=device)
    return 2 * size**3 / min(times["product"].seconds)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
