"""Memory that workers write batches to, shared once instead of anew for every batch.

A batch that a worker sends in fresh shared memory costs a page fault a page on either side, more than reading it. Here
each worker has a few places for batches, which it fills in turn, and sends which one it filled; the consumer copies.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Slot:
    """Where a batch lies in a `Ring`."""

    worker: int
    place: int
    n: int


class Ring:
    """For each worker `n_places` batches of at most `batch_size` windows.

    n_places: one more than the batches a worker may have on the way. A loader that yields in order asks a worker for
        its batch number k when it yields that worker's batch k - n_places + 1; the one before, whose place k takes,
        has been copied by then.
    shapes: of what one window consists of.
    """

    def __init__(
        self,
        shapes: tuple[tuple[int, ...], ...],
        dtype: torch.dtype,
        *,
        n_workers: int,
        n_places: int,
        batch_size: int,
    ) -> None:
        self.n_places = n_places
        self.parts = tuple(
            torch.empty(n_workers, n_places, batch_size, *shape, dtype=dtype).share_memory_() for shape in shapes
        )

    def slot(self, worker: int, turn: int, n: int) -> Slot:
        """The place for a worker's batch number `turn`, of n windows."""
        return Slot(worker, turn % self.n_places, n)

    def views(self, slot: Slot) -> tuple[Tensor, ...]:
        """The parts of a batch, where they lie."""
        return tuple(part[slot.worker, slot.place, : slot.n] for part in self.parts)

    def copies(self, slot: Slot, *, pin_memory: bool) -> tuple[Tensor, ...]:
        """The same in memory of their own."""
        return tuple(torch.empty_like(view, pin_memory=pin_memory).copy_(view) for view in self.views(slot))
