"""What a solve costs: all settings in turn, at every batch size, on samples that change from call to call."""

from collections.abc import Callable, Mapping, Sequence

from duhamel.benchmark.contenders import Run, Setting
from duhamel.benchmark.evaluation import first_failure, tiled
from duhamel.benchmark.result import Cost
from duhamel.benchmark.timing import Protocol, Times, spread_out, timed
from duhamel.benchmark.workload import Workload

# Different batches that take turns: nothing may be kept from one call for the next because parameters are the same.
N_TURNS = 4


def costs(
    runs: Mapping[str, tuple[Setting, Run]],
    work: Workload,
    batch_sizes: Sequence[int],
    protocol: Protocol,
    tell: Callable[[str], None],
) -> tuple[dict[str, list[Cost]], dict[str, str]]:
    """Costs by setting, and why a setting has none for some batch size (it ran out of memory, say)."""
    found: dict[str, list[Cost]] = {name: [] for name in runs}
    reasons: dict[str, str] = {}
    for batch in batch_sizes:
        tell(f"timing batches of {batch}")
        calls, moves = {}, {}
        for name, (setting, run) in runs.items():
            calls[name] = _Turns(setting, run, work, batch)
            try:
                calls[name]()
            except Exception as error:  # whatever a contender raises is its result
                reasons[name] = f"batch {batch}: {first_failure(error)}"
                del calls[name]
                continue
            moves[name] = calls[name].transfer() if work.device.type == "cuda" else 0.0
        for name, times in spread_out(calls, protocol, work.device).items():
            found[name].append(_cost(times, batch, moves[name]))
    return found, reasons


class _Turns:
    """One call: the next of a few batches, inputs ready on the device in the setting's precision."""

    def __init__(self, setting: Setting, run: Run, work: Workload, batch: int) -> None:
        self.run, self.device, self.turn = run, work.device, 0
        self.host = [tiled(work, batch, i) for i in range(N_TURNS)]
        self.host = [(u0.to(setting.dtype), params.to(setting.dtype)) for u0, params in self.host]
        self.inputs = [(u0.to(work.device), params.to(work.device)) for u0, params in self.host]

    def __call__(self) -> object:
        self.turn += 1
        return self.run(*self.inputs[self.turn % N_TURNS])

    def transfer(self) -> float:
        """Seconds of a batch to the device and its states back."""
        states = self.run(*self.inputs[0])
        u0, params = self.host[0]
        there = timed(lambda: (u0.to(self.device), params.to(self.device)), self.device)
        return there + timed(lambda: states.cpu(), self.device)


def _cost(times: Times, batch: int, transfer: float) -> Cost:
    low, high = times.quartiles
    return Cost(
        batch, [s / batch for s in times.seconds], times.median / batch, low / batch, high / batch, transfer / batch
    )
