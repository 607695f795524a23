"""A batch is the consumer's for as long as anything of it is held, however workers go on, fail or are sent home."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, SequentialSampler

from duhamel.datasets import Windows, open_source
from duhamel.datasets.loader import N_LENT, WindowLoader, window_loader
from duhamel.datasets.ring import Ring
from duhamel.datasets.selection import Selection
from duhamel.fields import Trajectory


@pytest.fixture
def windows(burgers_like: Callable[..., Path]) -> Windows:
    """54 windows, no two alike."""
    source = open_source(burgers_like())
    return Windows([source], [range(source.n_trajectories)], length=3)


def loader(windows: Windows, *, batch_size: int = 4, n_workers: int = 2) -> DataLoader[Trajectory]:
    return window_loader(windows, SequentialSampler(windows), batch_size=batch_size, num_workers=n_workers)


def in_ring(batches: DataLoader[Trajectory], u: torch.Tensor) -> bool:
    assert isinstance(batches, WindowLoader) and batches.dataset.ring is not None
    memory = batches.dataset.ring.memory
    return memory.data_ptr() <= u.data_ptr() < memory.data_ptr() + memory.nbytes


HELD: dict[str, Callable[[Trajectory], Any]] = {
    "batch": lambda batch: batch,
    "one number of it": lambda batch: batch.u[-1, -1, -1, -1],
    "parameters": lambda batch: batch.params.scalars,
    "array": lambda batch: batch.u.numpy()[1:],
    "detached view": lambda batch: batch.u.detach().flatten()[5:],
}


def values(held: Any) -> bytes:
    array = held.u.numpy() if isinstance(held, Trajectory) else np.asarray(held)
    return array.tobytes()


@pytest.mark.parametrize("take", HELD.values(), ids=HELD.keys())
@pytest.mark.parametrize("every", [1, 2, 5])
def test_what_is_held_of_a_batch_is_never_written_to(
    windows: Windows, take: Callable[[Trajectory], Any], every: int
) -> None:
    """Over three epochs of 14 batches in a ring of 8 places, which all serve several times."""
    batches = loader(windows)
    kept, expected = [], []
    for _ in range(3):
        for k, batch in enumerate(batches):
            if k % every == 0:
                kept.append(take(batch))
                expected.append(values(take(windows.batch(range(4 * k, min(4 * k + 4, 54))))))
            del batch
    assert len(kept) == 3 * len(range(0, 14, every))
    assert [values(held) for held in kept] == expected
    assert isinstance(batches, WindowLoader) and batches.dataset.ring is not None
    assert batches.dataset.ring.n_lent == N_LENT


def test_a_consumer_that_lets_go_gets_every_batch_without_a_copy(windows: Windows) -> None:
    batches = loader(windows)
    addresses = set()
    for _ in range(2):
        for batch in batches:
            assert in_ring(batches, batch.u) and in_ring(batches, batch.params.scalars)
            addresses.add(batch.u.data_ptr())
    assert len(addresses) <= 2 * 2 + 1 + N_LENT < 14
    held = list(batches)
    # The last batch of the loop above is still held.
    assert [in_ring(batches, other.u) for other in held] == [True] * (N_LENT - 1) + [False] * (14 - N_LENT + 1)


def test_a_consumer_may_write_to_its_batch(windows: Windows) -> None:
    for _ in range(2):
        for k, batch in enumerate(loader(windows)):
            assert torch.equal(batch.u, windows.batch(range(4 * k, min(4 * k + 4, 54))).u)
            batch.u.fill_(-1.0)


@pytest.mark.parametrize(("batch_size", "n_workers"), [(4, 1), (20, 5), (54, 3), (100, 2), (1, 2)])
@pytest.mark.filterwarnings("ignore:.*worker processes in total:UserWarning")
def test_every_window_once_whatever_the_numbers(windows: Windows, batch_size: int, n_workers: int) -> None:
    """Uneven last batches, one batch for several workers, a batch larger than the data."""
    batches = loader(windows, batch_size=batch_size, n_workers=n_workers)
    alone = windows.batch(range(54)).u
    for _ in range(2):
        u = [batch.u.clone() for batch in batches]
        assert [len(part) for part in u[:-1]] == [batch_size] * (len(u) - 1)
        assert torch.equal(torch.cat(u), alone)


def test_epochs_that_are_broken_off_leave_nothing_behind(windows: Windows) -> None:
    batches = loader(windows)
    kept = []
    for epoch in range(6):
        for k, batch in enumerate(batches):
            if k == epoch:
                kept.append(batch)
                break
    whole = [batch.u.clone() for batch in batches]
    assert torch.equal(torch.cat(whole), windows.batch(range(54)).u)
    for k, batch in enumerate(kept):
        assert torch.equal(batch.u, windows.batch(range(4 * k, 4 * k + 4)).u)


class _Breaking(Selection):
    """Cannot be read from trajectory 2 on while a file `broken` lies beside it."""

    def read_into(self, trajectory: int, start: int, stop: int, out: np.ndarray) -> None:
        if trajectory >= 2 and (self.path.parent / "broken").exists():
            raise OSError(f"{self.path}: trajectory {trajectory} cannot be read")
        super().read_into(trajectory, start, stop, out)


def test_an_error_in_a_worker_says_what_it_was_and_the_next_epoch_works(windows: Windows, tmp_path: Path) -> None:
    source = _Breaking(source=windows.sources[0], n_times=11)
    batches = loader(Windows([source], windows.trajectories, length=3))
    for _ in range(6):  # more often than there are places to lose
        (tmp_path / "broken").touch()
        seen = 0
        with pytest.raises(OSError, match=r"a.hdf5: trajectory 2 cannot be read"):
            for _ in batches:
                seen += 1
        assert seen == 4
        (tmp_path / "broken").unlink()
        assert torch.equal(torch.cat([batch.u for batch in batches]), windows.batch(range(54)).u)
    # torch's iterator is in a cycle with the traceback it raised: left to the garbage collector, it waits ten seconds.
    batches._iterator._shutdown_workers()  # type: ignore[union-attr]


def test_a_place_is_free_when_nothing_refers_to_it() -> None:
    ring = Ring(((2, 3), (0, 3), (1,)), torch.float32, n_places=2, batch_size=4)
    first, second = ring.take(), ring.take()
    with pytest.raises(RuntimeError, match="none of 2 places"):
        ring.take()
    for place in (first, second):
        for part in ring.parts(place, 3):
            part.fill_(place)
    u, fields, scalars = ring.lend(first, 3)
    assert [tuple(part.shape) for part in (u, fields, scalars)] == [(3, 2, 3), (3, 0, 3), (3, 1)]
    copied = ring.copy(second, 3)
    assert ring.take() == second and ring.n_lent == 1
    view = u[0, 1:].detach()
    del u, fields, scalars
    assert ring.n_lent == 1
    with pytest.raises(RuntimeError):
        ring.take()
    del view
    assert ring.n_lent == 0 and ring.take() == first
    assert all((part == second).all() for part in copied)
    ring.forget()
    assert ring.take() == 0
