"""Batches of windows, from workers if there are any."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from duhamel.datasets.ring import Ring
from duhamel.datasets.windows import Windows, collated
from duhamel.fields import Parameters, Trajectory

# Batches that the consumer may hold without a copy: the one it works on, the next one, and one of a data loader
# around this one that fetches ahead. Batches held beyond these are copies.
N_LENT = 3


@dataclass(frozen=True)
class Order:
    """What a worker, or the process itself, is to do: fill a place of the ring with windows."""

    place: int
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Filled:
    """What it answers."""

    place: int
    n: int


class WindowFiller(Dataset[Trajectory]):
    """Fills places of a ring, in a worker if there are any; the loader makes the ring when it starts."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.ring: Ring | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def __getitems__(self, order: Order) -> Filled:
        assert self.ring is not None, "the loader makes the ring before it orders"
        u, fields, scalars = self.ring.parts(order.place, len(order.indices))
        self.windows.fill(order.indices, u, fields, scalars)
        return Filled(order.place, len(order.indices))


class Orders(BatchSampler):
    """Orders for batches in the order of a sampler; the last one may be smaller, no window is dropped.

    torch asks for one whenever it has somebody to give it to.

    share: (rank, number of processes). A batch is cut into runs that differ by one window at most: an epoch has as many
        steps as with one process, and a small batch may leave a process without a window.
    first: the batch to start at when next asked for an order; then 0 again.
    """

    def __init__(
        self, sampler: Sampler[int], batch_size: int, filler: WindowFiller, *, share: tuple[int, int] = (0, 1)
    ) -> None:
        super().__init__(sampler, batch_size, drop_last=False)
        self.filler, self.share = filler, share
        self.first = 0

    # torch's type of a batch is a list of indices.
    def __iter__(self) -> Iterator[Any]:
        first, self.first = self.first, 0
        rank, n_processes = self.share
        ring = self.filler.ring
        assert ring is not None, "the loader makes the ring before it asks for orders"
        # An epoch that was broken off left places that nobody will send; its workers have come to rest.
        ring.forget()
        for indices in islice(super().__iter__(), first, None):
            n = len(indices)
            yield Order(ring.take(), tuple(indices[rank * n // n_processes : (rank + 1) * n // n_processes]))


class WindowLoader(DataLoader[Trajectory]):
    """A batch is filled in a place of a `Ring`, and is the consumer's as long as it is held.

    Its state is its place in the epoch; Lightning keeps that in checkpoints.
    """

    dataset: WindowFiller
    batch_sampler: Orders
    n_delivered = 0

    def __init__(
        self,
        filler: WindowFiller,
        orders: Orders,
        *,
        num_workers: int,
        pin_memory: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__(
            filler,
            batch_sampler=orders,
            num_workers=num_workers,
            collate_fn=collated,
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,  # they keep the ring they were born with
            generator=generator,
        )

    # torch annotates its own iterator class, which is not part of its interface.
    def __iter__(self) -> Any:
        # A generator: nothing is ordered before the first batch is asked for. torch's iterator orders when it is made,
        # which Lightning, on resuming, does before it tells the sampler its epoch.
        if self.dataset.ring is None:
            self.dataset.ring = self._ring()
        ring = self.dataset.ring
        self.n_delivered = self.batch_sampler.first
        # torch's iterator takes as long over a batch as reading ten windows, which workers hide.
        places = super().__iter__() if self.num_workers else map(self.dataset.__getitems__, self.batch_sampler)
        for filled in places:
            self.n_delivered += 1
            # No name for the batch: a generator that waits must not hold what its consumer has let go.
            yield self._batch(ring, filled)

    def state_dict(self) -> dict[str, Any]:
        return {"n_delivered": self.n_delivered}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # All of an epoch delivered is none of the next.
        self.batch_sampler.first = state["n_delivered"] % len(self)

    def _ring(self) -> Ring:
        windows = self.dataset.windows
        # With workers one more than they hold: torch orders the next batch before it hands out the one that has come.
        n_filling = self.num_workers * (self.prefetch_factor or 0) + 1
        return Ring(
            windows.shapes,
            windows.dtype,
            n_places=n_filling + N_LENT,
            batch_size=max(1, min(self.batch_sampler.batch_size, len(windows))),
            shared=self.num_workers > 0,
        )

    def _batch(self, ring: Ring, filled: Filled) -> Trajectory:
        windows = self.dataset.windows
        pin_memory = self.pin_memory and torch.cuda.is_available()
        if pin_memory or ring.n_lent >= N_LENT:
            u, fields, scalars = ring.copy(filled.place, filled.n, pin_memory=pin_memory)
        else:
            u, fields, scalars = ring.lend(filled.place, filled.n)
        return Trajectory(u, Parameters(scalars, fields), windows.grid, windows.dt)


def window_loader(
    windows: Windows,
    sampler: Sampler[int],
    *,
    batch_size: int,
    num_workers: int = 0,
    seed: int = 0,
    share: tuple[int, int] = (0, 1),
) -> WindowLoader:
    """Batches in the sampler's order, the last one perhaps smaller: nothing is dropped. share: see `Orders`."""
    filler = WindowFiller(windows)
    return WindowLoader(
        filler,
        Orders(sampler, batch_size, filler, share=share),
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
        # Its own: drawing the workers' seeds from the global generator would change what the model draws.
        generator=torch.Generator().manual_seed(seed),
    )
