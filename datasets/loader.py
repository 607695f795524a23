"""Batches of windows, from workers if there are any."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, Sampler

from duhamel.datasets.ring import Ring, Slot
from duhamel.datasets.windows import Windows, collated
from duhamel.fields import Parameters, Trajectory


class WindowLoader(DataLoader[Trajectory]):
    """A `DataLoader` over `Windows` whose workers send batches through a `Ring`. Built by `window_loader`."""

    dataset: Windows
    _ring: Ring | None = None

    # torch annotates its own iterator class, which is not part of its interface.
    def __iter__(self) -> Any:
        if self.num_workers == 0:
            return super().__iter__()
        # Persistent workers keep the ring they were born with.
        if self._ring is None or not self.persistent_workers:
            self._ring = Ring(
                self.dataset.shapes,
                self.dataset.dtype,
                n_workers=self.num_workers,
                n_places=(self.prefetch_factor or 2) + 1,
                batch_size=self.batch_sampler.batch_size,  # type: ignore[union-attr]
            )
        self.dataset.ring = self._ring
        return self._received(super().__iter__(), self._ring)

    def _received(self, batches: Iterator[Any], ring: Ring) -> Iterator[Trajectory]:
        pin_memory = self.pin_memory and torch.cuda.is_available()
        for slot in batches:
            if not isinstance(slot, Slot):
                raise TypeError(f"a worker sent {type(slot).__name__} instead of a place in the ring")
            u, fields, scalars = ring.copies(slot, pin_memory=pin_memory)
            yield Trajectory(u, Parameters(scalars, fields), self.dataset.grid, self.dataset.dt)


def window_loader(
    windows: Windows, sampler: Sampler[int], *, batch_size: int, num_workers: int = 0, seed: int = 0
) -> WindowLoader:
    """Batches in the sampler's order, the last one perhaps smaller: nothing is dropped."""
    return WindowLoader(
        windows,
        batch_sampler=BatchSampler(sampler, batch_size, drop_last=False),
        num_workers=num_workers,
        collate_fn=collated,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
        # Its own: drawing the workers' seeds from the global generator would change what the model draws.
        generator=torch.Generator().manual_seed(seed),
    )
