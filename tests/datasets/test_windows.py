"""A window is the slice it says it is, in every process; an order depends on seed and epoch alone."""

import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from duhamel.datasets import Windows, handles, open_source
from duhamel.datasets.loader import window_loader
from duhamel.datasets.memory import load
from duhamel.datasets.selection import select
from duhamel.datasets.windows import EpochShuffle
from duhamel.fields import Trajectory


def shuffled(windows: Windows, **options: int) -> DataLoader[Trajectory]:
    return window_loader(windows, EpochShuffle(len(windows), seed=1), batch_size=4, **options)


@pytest.fixture
def two_files(burgers_like: Callable[..., Path]) -> Windows:
    sources = [open_source(burgers_like(f"{nu}.hdf5", attrs={"Nu": nu})) for nu in (0.1, 0.2)]
    return Windows(sources, [(4, 1), (0, 5, 2)], length=3)


def test_every_window_once_and_each_what_it_says(two_files: Windows, expected: Callable[..., np.ndarray]) -> None:
    u = expected(6, 11, 1, 16).astype(np.float32)
    places = [two_files.locate(i) for i in range(len(two_files))]
    assert places == [(0, i, t) for i in (4, 1) for t in range(9)] + [(1, i, t) for i in (0, 5, 2) for t in range(9)]
    batch = two_files.batch([44, 0, 13])
    assert [two_files.locate(i) for i in (44, 0, 13)] == [(1, 2, 8), (0, 4, 0), (0, 1, 4)]
    np.testing.assert_array_equal(batch.u, np.stack([u[2, 8:11], u[4, 0:3], u[1, 4:7]]))
    torch.testing.assert_close(batch.params.scalars * torch.pi, torch.tensor([[0.2], [0.1], [0.1]]))
    assert batch.params.fields.shape == (3, 0, 16) and batch.dt == 0.01
    for outside in (-1, 45):
        with pytest.raises(IndexError):
            two_files.locate(outside)


def test_coefficients_travel_with_their_trajectory(darcy_file: Path) -> None:
    source = open_source(darcy_file)
    batch = Windows([source], [(3, 0)]).batch([1, 0])
    np.testing.assert_array_equal(batch.params.fields, np.stack([source.read_coefficients(i) for i in (0, 3)]))
    assert not batch.u[:, 0].any() and batch.u[:, 1].any()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_what_one_process_reads(two_files: Windows, method: str) -> None:
    alone = list(shuffled(two_files))
    assert handles.open_files(), "the parent holds handles when it forks"
    batches = shuffled(two_files, num_workers=2)
    batches.multiprocessing_context = method
    # Every batch is kept: a place of the ring that is written anew must not change a batch that was yielded. Epochs
    # that are broken off leave batches on the way.
    broken = [next(iter(batches)) for _ in range(3)]
    many, again = list(batches), list(batches)
    assert len(alone) == len(many) == 12 and len(alone[-1].u) == 1, "nothing is dropped"
    for one, *others in zip(alone, many, again, strict=True):
        for other in others:
            assert torch.equal(one.u, other.u) and torch.equal(one.params.scalars, other.params.scalars)
    assert all(torch.equal(alone[0].u, batch.u) for batch in broken)


def _handles_of_child(windows: Windows, answer: multiprocessing.SimpleQueue) -> None:  # type: ignore[type-arg]
    before = len(handles.open_files())
    windows[0]
    answer.put((before, len(handles.open_files()), os.getpid()))


def test_a_forked_process_opens_its_own_handles(two_files: Windows) -> None:
    windows = two_files
    windows.batch(range(len(windows)))
    assert len(handles.open_files()) == 2
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    child = context.Process(target=_handles_of_child, args=(windows, answer))
    child.start()
    child.join(30)
    assert answer.get() == (0, 1, child.pid)
    assert len(handles.open_files()) == 2


def test_windows_pickle_without_data_or_handles(two_files: Windows) -> None:
    two_files[0]
    again = pickle.loads(pickle.dumps(two_files))
    assert torch.equal(again[7].u, two_files[7].u)
    assert len(pickle.dumps(two_files)) < 5000


def test_open_files_are_capped_and_replaced_files_reopened(
    burgers_like: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handles, "MAX_OPEN_FILES", 2)
    monkeypatch.setattr(handles, "CHECK_EVERY", 0.0)
    sources = [open_source(burgers_like(f"{i}.hdf5")) for i in range(3)]
    for source in (sources[0], sources[1], sources[0], sources[2]):
        source.read(0, 0, 1)
    assert handles.open_files() == (sources[0].path, sources[2].path)
    new = burgers_like("new.hdf5", values=np.ones((6, 11, 16)))
    os.replace(new, sources[0].path)
    assert (sources[0].read(3, 0, 11) == 1).all()


def test_strides_keep_every_so_many_values_at_their_positions(
    flow_file: Path, expected: Callable[..., np.ndarray]
) -> None:
    source = open_source(flow_file)
    u = expected(3, 5, 4, 8, 6).astype(np.float32)
    coarse = select(source, time_stride=2, space_stride=2)
    assert (coarse.n_times, coarse.problem.dt) == (3, 0.1)
    np.testing.assert_array_equal(coarse.read(2, 1, 3), u[2, 2:5:2, :, ::2, ::2])
    out = np.empty((3, 4, 4, 3), dtype=np.float32)
    coarse.read_into(1, 0, 3, out)
    np.testing.assert_array_equal(out, u[1, ::2, :, ::2, ::2])
    for fine, x in zip(source.problem.grid.coordinates(), coarse.problem.grid.coordinates(), strict=True):
        torch.testing.assert_close(x, fine[::2])
    short = select(source, n_times=2, time_stride=2)
    np.testing.assert_array_equal(short.read(0, 0, 2), u[0, 0:3:2])
    with pytest.raises(ValueError, match="2 are selected"):
        short.read(0, 1, 3)
    with pytest.raises(ValueError, match="2 are selected"):
        short.read_into(0, 1, 3, out)
    with pytest.raises(ValueError, match="4 states asked for, trajectories have 3 at time stride 2"):
        select(source, n_times=4, time_stride=2)
    with pytest.raises(ValueError, match="Train.hdf5: stride 4 does not divide the 6 points"):
        select(source, space_stride=4)


def test_windows_longer_than_trajectories_are_refused(burgers_like: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"a.hdf5: window of 12 states asked for, trajectories have 11"):
        Windows([open_source(burgers_like())], [(0,)], length=12)


def test_in_memory_is_the_file_or_a_refusal_with_numbers(two_files: Windows) -> None:
    chosen = [(4, 1), (0, 5, 2)]
    needed = 5 * 11 * 16 * 4
    loaded = load(two_files.sources, chosen, budget=needed)
    inside = Windows(loaded, chosen, length=3)
    assert torch.equal(inside.batch(range(45)).u, two_files.batch(range(45)).u)
    with pytest.raises(ValueError, match=r"5 trajectories of 2 files .* take .* GiB, .* GiB are allowed"):
        load(two_files.sources, chosen, budget=needed - 1)
    with pytest.raises(ValueError, match="trajectory 0 is not among the 2 in memory"):
        loaded[0].read(0, 0, 1)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> tuple[int, ...]:
        sampler = EpochShuffle(50, seed=seed)
        sampler.set_epoch(epoch)
        torch.rand(epoch + 1)  # the global generator has no say
        return tuple(sampler)

    orders = {(seed, epoch): order(seed, epoch) for seed in range(4) for epoch in range(4)}
    assert all(sorted(o) == list(range(50)) for o in orders.values())
    assert len(set(orders.values())) == 16
    assert all(order(*key) == o for key, o in reversed(orders.items()))
