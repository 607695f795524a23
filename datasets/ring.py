"""Batches in memory that lasts, shared with workers if there are any: made once, lent while a batch is in use.

A batch in fresh memory costs page faults, on either side if a worker sends it: about as much as reading it. Here it is
filled where the consumer will look at it, and nothing is copied.
"""

import math
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Ring:
    """`n_places` places, each for a batch of at most `batch_size` windows.

    The consumer decides which place a worker fills. A place is free unless it is being filled or something refers to
    its memory: a tensor of the batch, a view of one, an array made from it.

    shapes: of the parts of one window.
    shared: whether other processes are to fill it.
    """

    def __init__(
        self,
        shapes: tuple[tuple[int, ...], ...],
        dtype: torch.dtype,
        *,
        n_places: int,
        batch_size: int,
        shared: bool = True,
    ) -> None:
        self.shapes = shapes
        memory = torch.empty(n_places, batch_size * sum(map(math.prod, shapes)), dtype=dtype)
        self.memory = memory.share_memory_() if shared else memory
        self._filling: set[int] = set()
        self._lent: dict[int, weakref.ref[np.ndarray]] = {}

    @property
    def n_lent(self) -> int:
        """Places in use outside."""
        return sum(array() is not None for array in self._lent.values())

    def take(self) -> int:
        """A free place, to be filled."""
        for place in range(len(self.memory)):
            array = self._lent.get(place)
            if place not in self._filling and (array is None or array() is None):
                self._filling.add(place)
                return place
        raise RuntimeError(f"none of {len(self.memory)} places is free")

    def forget(self) -> None:
        """No place is being filled any more: the workers have been called back."""
        self._filling.clear()

    def parts(self, place: int, n: int) -> tuple[Tensor, ...]:
        """The parts of a batch of n windows, for the worker that fills them."""
        return self._divided(self.memory[place], n)

    def lend(self, place: int, n: int) -> tuple[Tensor, ...]:
        """The same for the consumer; the place is free again when nothing refers to them."""
        # torch keeps the array alive as long as the tensor's memory, whichever views of it there are.
        array = self.memory[place].numpy()
        self._filling.discard(place)
        self._lent[place] = weakref.ref(array)
        return self._divided(torch.from_numpy(array), n)

    def copy(self, place: int, n: int, *, pin_memory: bool = False) -> tuple[Tensor, ...]:
        """The same in memory of their own; the place is free at once."""
        self._filling.discard(place)
        return tuple(torch.empty_like(part, pin_memory=pin_memory).copy_(part) for part in self.parts(place, n))

    def _divided(self, memory: Tensor, n: int) -> tuple[Tensor, ...]:
        sizes = [n * math.prod(shape) for shape in self.shapes]
        parts = memory[: sum(sizes)].split(sizes)
        return tuple(part.view(n, *shape) for part, shape in zip(parts, self.shapes, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        # A worker shares the memory; who holds which place is the consumer's business.
        return {"shapes": self.shapes, "memory": self.memory, "_filling": set(), "_lent": {}}
