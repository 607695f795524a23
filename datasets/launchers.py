"""Who makes the shards: processes of this machine, or an engine that reaches several."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import joblib


@runtime_checkable
class Launcher(Protocol):
    """Runs a task for every item, elsewhere or here, and yields answers as they come, in any order.

    The first task that fails ends the others and raises here.
    """

    def __call__(self, task: Callable[[int], int], items: Sequence[int]) -> Iterator[int]: ...


@dataclass(frozen=True)
class Processes:
    """joblib's processes on this machine; a single one is this process itself."""

    n_workers: int = 1

    def __call__(self, task: Callable[[int], int], items: Sequence[int]) -> Iterator[int]:
        n_jobs = max(1, min(self.n_workers, len(items)))
        parallel = joblib.Parallel(n_jobs=n_jobs, batch_size=1, return_as="generator_unordered")
        yield from parallel(joblib.delayed(task)(item) for item in items)


@dataclass(frozen=True)
class Dask:
    """Workers of a running Dask cluster (extra `cluster`), which see the same files under the same paths.

    scheduler: its address, "tcp://host:port". A task whose worker dies goes to another, as the scheduler decides.
    """

    scheduler: str

    def __call__(self, task: Callable[[int], int], items: Sequence[int]) -> Iterator[int]:
        from distributed import Client, as_completed

        with Client(self.scheduler) as client:
            futures = client.map(task, items, pure=False)
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                client.cancel(futures)
