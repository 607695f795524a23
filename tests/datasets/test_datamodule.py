"""The data module trains on windows of the training part, and evaluates whole trajectories of the others."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import lightning
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from duhamel.datasets import HDF5DataModule, handles
from duhamel.fields import Trajectory


@pytest.fixture
def family(burgers_like: Callable[..., Path]) -> list[Path]:
    """Three viscosities, one set of initial states, as in the published files."""
    u0 = np.random.default_rng(0).standard_normal((20, 1, 16))
    return [
        burgers_like(f"nu{nu}.hdf5", attrs={"Nu": nu}, values=u0 * np.exp(-nu * np.arange(11))[:, None], n_samples=20)
        for nu in (0.1, 0.2, 0.4)
    ]


def module(path: object, **options: object) -> HDF5DataModule:
    made = HDF5DataModule(path, 4, **options)  # type: ignore[arg-type]
    made.setup("fit")
    return made


def initial(batches: object) -> set[bytes]:
    return {u[0].numpy().tobytes() for batch in batches for u in batch.u}  # type: ignore[attr-defined]


def test_initial_states_do_not_leak_between_parts(family: list[Path]) -> None:
    data = module(str(family[0].with_name("nu*.hdf5")), fractions=(0.6, 0.2, 0.2))
    # The states at t = 0 are equal in the three files, so that 12 of 36 remain.
    train = initial(data.train_dataloader())
    validation, test = initial(data.val_dataloader()), initial(data.test_dataloader()[0])
    assert (len(train), len(validation), len(test)) == (12, 4, 4)
    assert not train & validation and not train & test and not validation & test


def test_windows_train_whole_trajectories_evaluate(family: list[Path]) -> None:
    data = module(family, window=3, time_stride=2, n_times=5, space_stride=2, n_samples=7, eval_batch_size=3)
    assert (data.problem.dt, data.problem.grid.shape) == (0.02, (8,))
    train = list(data.train_dataloader())
    assert all(batch.u.shape[1:] == (3, 1, 8) and batch.u.dtype == torch.float32 for batch in train)
    assert sum(len(batch.u) for batch in train) == 3 * 7 * 3 and len(train[-1].u) == 3
    assert {tuple(batch.u.shape[1:]) for batch in data.val_dataloader()} == {(5, 1, 8)}
    assert [len(batch.u) for batch in data.val_dataloader()] == [3, 3]
    found = {float(s) for batch in train for s in batch.params.scalars}
    np.testing.assert_allclose(sorted(found), np.array([0.1, 0.2, 0.4]) / np.pi, rtol=1e-6)


def test_smaller_training_sets_are_parts_of_larger_ones(family: list[Path]) -> None:
    few, more = (module(family[0], n_samples=n) for n in (3, 9))
    assert initial(few.train_dataloader()) < initial(more.train_dataloader())
    assert few.split["test"] == more.split["test"]
    with pytest.raises(ValueError, match=r"nu0.1.hdf5: n_samples = 17, the training part holds 16"):
        module(family[0], n_samples=17)


def test_statistics_are_those_of_the_training_part(family: list[Path]) -> None:
    data = module(family, n_samples=5)
    u = torch.cat([batch.u for batch in data.train_dataloader()]).double()
    torch.testing.assert_close(data.statistics.channels.std, u.std(unbiased=False).reshape(1))
    torch.testing.assert_close(data.statistics.increments.mean, u.diff(dim=1).mean().reshape(1))
    memory = module(family, n_samples=5, in_memory=True)
    torch.testing.assert_close(memory.statistics.channels.mean, data.statistics.channels.mean)
    assert initial(memory.train_dataloader()) == initial(data.train_dataloader())
    assert initial(memory.val_dataloader()) == initial(data.val_dataloader())


def test_memory_budget_is_obeyed(family: list[Path]) -> None:
    with pytest.raises(ValueError, match="in_memory: 54 trajectories of 3 files"):
        module(family, in_memory=True, memory_budget=1000)


def test_record_of_the_split_is_json_and_repeats(family: list[Path]) -> None:
    data, again = module(family), module(family)
    record = json.loads(json.dumps(data.split))
    assert record == again.split and record["data_hash"] == data.data_hash
    assert sorted(record["train"] + record["validation"] + record["test"]) == list(range(20))
    assert [f["name"] for f in record["files"]] == ["nu0.1.hdf5", "nu0.2.hdf5", "nu0.4.hdf5"]
    assert data.provenance == {}
    assert module(family, seed=1).split["test"] != record["test"]


def test_named_test_files_at_another_resolution(family: list[Path], burgers_like: Callable[..., Path]) -> None:
    fine = burgers_like("fine.hdf5", n=32, n_samples=3, attrs={"Nu": 0.3})
    tests = {"fine": str(fine), "thinned": {"path": [str(fine)], "space_stride": 2}}
    data = module(family, fractions=(0.9, 0.1, 0), tests=tests)
    assert data.test_names == ("fine", "thinned")
    assert [next(iter(loader)).u.shape for loader in data.test_dataloader()] == [(3, 11, 1, 32), (3, 11, 1, 16)]
    both = module(family, tests=tests)
    assert both.test_names == ("fine", "thinned", "held_out")
    assert initial(both.test_dataloader()[2]) == initial(module(family).test_dataloader()[0])
    with pytest.raises(ValueError, match="'held_out' names the data set's own test part"):
        HDF5DataModule(family, 4, tests={"held_out": str(fine)})
    with pytest.raises(ValueError, match=r"must share the domain.*nu0.1.hdf5 has .*long.hdf5 has"):
        module(family, tests={"long": str(burgers_like("long.hdf5", domain=(0, 7)))})
    with pytest.raises(ValueError, match=r"test file .*nu0.2.hdf5 has the content of .*nu0.2.hdf5"):
        module(family, tests={"same": {"path": str(family[1]), "space_stride": 2}})
    with pytest.raises(ValueError, match="must share dt"):
        module(family, tests={"other": str(burgers_like("other.hdf5", dt=0.5))})
    with pytest.raises(ValueError, match=r"options \['stride'\] of a test set"):
        module(family, tests={"fine": {"path": str(fine), "stride": 2}})


def test_nothing_to_test_on_is_an_error(family: list[Path]) -> None:
    with pytest.raises(ValueError, match="nothing to test on"):
        HDF5DataModule(family, 4, fractions=(0.9, 0.1, 0))
    with pytest.raises(ValueError, match="no file matches"):
        HDF5DataModule("/absent/*.hdf5", 4)


def test_fractions_that_do_not_add_up_are_refused_though_the_parts_have_folders(tmp_path: Path) -> None:
    """A tenth to train on would have become all of train/."""
    for part in ("train", "valid", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.hdf5").touch()
    with pytest.raises(ValueError, match="of sum 1"):
        HDF5DataModule(tmp_path, 4, fractions=(0.1, 0, 0))


def test_nothing_to_validate_on_is_an_error(family: list[Path]) -> None:
    with pytest.raises(ValueError, match=r"validation fraction is 0 and .*nu0.1.hdf5 comes with no validation files"):
        module(family, fractions=(0.9, 0, 0.1))
    assert len(initial(module(family, fractions=(0.9, 0.05, 0.05)).val_dataloader())) == 1


def _spoil(path: Path, name: str, place: tuple[int, ...], value: float = np.nan) -> None:
    handles.close_all()
    with h5py.File(path, "r+") as file:
        file[name][place] = value


def _read(batches: object) -> None:
    for _ in batches:  # type: ignore[attr-defined]
        pass


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("num_workers", [0, 1])
def test_what_is_not_finite_in_evaluation_is_refused_by_name(family: list[Path], num_workers: int) -> None:
    bad = module(family).split["validation"][1]
    _spoil(family[1], "tensor", (bad, slice(7, None), 3), np.inf)
    data = module(family, num_workers=num_workers, time_stride=2)
    said = (
        rf"nu0.2.hdf5: channel 'velocity' of trajectory {bad} is NaN or infinite, first at t = 0.08 \(state 4\); run "
    )
    with pytest.raises(ValueError, match=said + r"`python -m duhamel.datasets.doctor .*nu0.2.hdf5`"):
        _read(data.val_dataloader())
    _read(data.test_dataloader()[0])


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_what_is_not_finite_is_refused_before_training(family: list[Path], darcy_file: Path, part: str) -> None:
    halves = (0.5, 0.25, 0.25)
    for path, dataset, what in (
        (family[0], "tensor", r"channel 'velocity' of trajectory {} is NaN or infinite, first at t = 0.09 \(state 9\)"),
        (darcy_file, "nu", r"coefficient '\w+' of trajectory {} is NaN or infinite; run"),
        (darcy_file, "tensor", r"channel '\w+' of trajectory {} is NaN or infinite; run"),
    ):
        bad = module(path, fractions=halves).split[part][0]
        place = (bad, 9, 1) if path == family[0] else (bad, 0, 2, 3) if dataset == "tensor" else (bad, 2, 3)
        with h5py.File(path) as file:
            before = file[dataset][place]
        _spoil(path, dataset, place)
        data = module(path, fractions=halves)
        with pytest.raises(ValueError, match=what.format(bad)):
            _ = data.statistics
        _spoil(path, dataset, place, before)
        assert module(path, fractions=halves).statistics.channels.std > 0


def test_stationary_problems_train_on_guess_and_solution(darcy_file: Path) -> None:
    data = module(darcy_file, fractions=(0.5, 0.25, 0.25), window=5)
    for batch in (*data.train_dataloader(), *data.val_dataloader(), *data.test_dataloader()[0]):
        assert batch.u.shape[1] == 2 and batch.dt == 0 and not batch.u[:, 0].any()
        assert batch.params.fields.shape[1:] == (1, 8, 6)


class _Listener(lightning.LightningModule):
    """Records the windows it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[list[bytes]] = []

    def on_train_epoch_start(self) -> None:
        self.seen.append([])

    def training_step(self, batch: Trajectory) -> torch.Tensor:
        self.seen[-1] += [u.numpy().tobytes() for u in batch.u]
        return self.weight * batch.u.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def _trained(data: HDF5DataModule, folder: Path, n_epochs: int, resume: Path | None = None) -> list[list[bytes]]:
    listener = _Listener()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers
        trainer = lightning.Trainer(
            max_epochs=n_epochs, accelerator="cpu", logger=False, default_root_dir=folder, barebones=False,
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(listener, train_dataloaders=data.train_dataloader(), ckpt_path=resume)
        trainer.save_checkpoint(folder / f"{n_epochs}.ckpt")
    return listener.seen


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_resumed_run_sees_the_same_windows(family: list[Path], tmp_path: Path, num_workers: int) -> None:
    def data() -> HDF5DataModule:
        return module(family, window=4, num_workers=num_workers)

    whole = _trained(data(), tmp_path, 3)
    assert len(set(map(tuple, whole))) == 3, "every epoch has an order of its own"
    assert len({frozenset(epoch) for epoch in whole}) == 1, "and the same windows"
    _trained(data(), tmp_path, 1)
    torch.rand(17)
    assert _trained(data(), tmp_path, 3, tmp_path / "1.ckpt") == whole[1:]


def test_the_order_follows_the_shuffle_seed_and_the_split_does_not(family: list[Path]) -> None:
    def order(data: HDF5DataModule) -> tuple[bytes, ...]:
        return tuple(u.numpy().tobytes() for batch in data.train_dataloader() for u in batch.u)

    made = [module(family, window=4, shuffle_seed=seed) for seed in range(3)]
    orders = [order(data) for data in made]
    assert len(set(orders)) == 3 and len({frozenset(o) for o in orders}) == 1
    assert made[0].split == made[1].split == made[2].split
    assert order(module(family, window=4, shuffle_seed=1)) == orders[1]


def test_loading_leaves_the_global_generator_alone(family: list[Path]) -> None:
    data = module(family)
    state = torch.get_rng_state()
    for _ in data.train_dataloader():
        pass
    assert torch.equal(torch.get_rng_state(), state)


def test_configuration_builds_it(family: list[Path]) -> None:
    with initialize_config_module("duhamel.conf", version_base="1.3"):
        options = [f"dataset.path=[{family[0]},{family[1]}]", "dataset.window=4", "seed=3"]
        config = compose("train", overrides=options)
    data = instantiate(config.dataset)
    assert (data.seed, data.shuffle_seed) == (0, 3), "a training's seed orders its windows, and leaves the split alone"
    data.setup()
    assert next(iter(data.train_dataloader())).u.shape == (16, 4, 1, 16)
