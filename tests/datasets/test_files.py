"""A folder stands for its files; The Well's folders are the parts of a data set."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from duhamel.datasets import HDF5DataModule
from duhamel.datasets.files import data_files, expand

Make = Callable[..., Path]


@pytest.fixture
def published(tmp_path: Path, well_file: Path) -> Callable[..., Path]:
    """NAME/data/{train,valid,test} of small files in The Well's layout, three trajectories a file."""

    def make(**n_files: int) -> Path:
        for folder, n in n_files.items():
            (tmp_path / "set" / "data" / folder).mkdir(parents=True)
            for i in range(n):
                path = tmp_path / "set" / "data" / folder / f"nu_{i}.hdf5"
                shutil.copy(well_file, path)
                with h5py.File(path, "r+") as file:
                    file.attrs["copy"] = f"{folder} {i}"
        return tmp_path / "set"

    return make


def module(path: object, **options: object) -> HDF5DataModule:
    made = HDF5DataModule(path, 2, **options)  # type: ignore[arg-type]
    made.setup("fit")
    return made


def n_windows(batches: object) -> int:
    return sum(len(batch.u) for batch in batches)  # type: ignore[attr-defined]


def test_a_folder_stands_for_its_files_sorted(tmp_path: Path, burgers_like: Make) -> None:
    for name in ("b.hdf5", "a.h5", ".c.hdf5.7.partial", ".d.hdf5"):
        burgers_like(name)
    (tmp_path / "notes.txt").write_text("no data")
    files = (tmp_path / "a.h5", tmp_path / "b.hdf5")
    assert expand(tmp_path) == expand(str(tmp_path)) == expand([files[0], str(files[1])]) == files
    assert data_files(tmp_path).split == files and not data_files(tmp_path).test
    assert len(module(tmp_path, fractions=(0.5, 0.25, 0.25)).split["files"]) == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: no .hdf5 or .h5 file in this folder"):
        expand(tmp_path / "empty")


def test_published_folders_are_the_parts(published: Callable[..., Path]) -> None:
    root = published(train=2, valid=1, test=3)
    for path in (root, root / "data"):
        data = module(str(path), window=3)
        assert n_windows(data.train_dataloader()) == 2 * 3 * 3
        assert n_windows(data.val_dataloader()) == 3
        assert data.test_names == ("test",) and n_windows(data.test_dataloader()[0]) == 9
        assert [file["part"] for file in data.split["files"]] == ["split"] * 2 + ["validation"] + ["test"] * 3
        assert data.split["fractions"] == [1.0, 0.0, 0.0] and sorted(data.split["train"]) == [0, 1, 2]
        assert not data.split["validation"] and not data.split["test"]
    memory = module(root, in_memory=True)
    assert n_windows(memory.val_dataloader()) == 3 and n_windows(memory.train_dataloader()) == 6
    with pytest.raises(ValueError, match="'held_out' names the data set's own test part"):
        HDF5DataModule(root, 2, fractions=(0.9, 0.1, 0), tests={"held_out": root / "data/test"})


def test_a_copy_of_a_training_file_in_the_test_folder_is_refused(published: Callable[..., Path]) -> None:
    data = published(train=1, valid=1, test=1) / "data"
    shutil.copy(data / "train" / "nu_0.hdf5", data / "test" / "copy.hdf5")
    with pytest.raises(ValueError, match=r"test/copy.hdf5 has the content of .*train/nu_0.hdf5"):
        module(data)


@pytest.mark.parametrize(
    ("folders", "missing", "counts"),
    [
        ({"train": 1, "test": 1}, ["valid"], (2, 1, 3)),
        ({"train": 1, "valid": 1}, ["test"], (2, 3, 1)),
        ({"train": 1, "valid": 1, "test": 0}, ["test"], (2, 3, 1)),
        ({"train": 1}, ["valid", "test"], (1, 1, 1)),
    ],
)
def test_missing_parts_are_drawn_from_the_training_files_and_that_is_said(
    published: Callable[..., Path], folders: dict[str, int], missing: list[str], counts: tuple[int, int, int]
) -> None:
    root = published(**folders)
    with pytest.warns(UserWarning, match="has no files in folder") as said:
        data = module(root, fractions=(0.34, 0.33, 0.33))
    assert len(said) == len(missing)
    assert all(f"folder '{name}'" in str(warning.message) for name, warning in zip(missing, said, strict=True))
    loaders = (data.train_dataloader(), data.val_dataloader(), *data.test_dataloader())
    assert tuple(map(n_windows, loaders)) == counts
    drawn = [data.split[part] for part in ("train", "validation", "test")]
    assert sorted(sum(drawn, [])) == [0, 1, 2], "no trajectory of the training files is in two parts"


def test_what_a_folder_means_is_never_guessed(published: Callable[..., Path], well_file: Path) -> None:
    root = published(train=0, valid=1, test=1)
    with pytest.raises(ValueError, match=r"train: no .hdf5 or .h5 file"):
        data_files(root)
    shutil.copy(well_file, root / "data" / "loose.hdf5")
    with pytest.raises(ValueError, match=r"data files beside it \(loose.hdf5"):
        data_files(root)
    assert data_files(root / "data" / "valid").split == (root / "data/valid/nu_0.hdf5",)


@pytest.mark.filterwarnings("ignore:.*time_varying_scalar:UserWarning")
def test_the_published_writers_folder(shared_data: Path, tmp_path: Path) -> None:
    """Two trajectories: too few for three parts, enough for two where a test set is named."""
    root = shared_data / "the_well" / "dummy_placeholder"
    with pytest.warns(UserWarning) as said, pytest.raises(ValueError, match="2 trajectories"):
        module(root)
    drawn = [str(warning.message) for warning in said if "has no files" in str(warning.message)]
    assert ["'valid'" in drawn[0], "'test'" in drawn[1], len(drawn)] == [True, True, 2]
    # Another file of the same kind, to test on.
    other = Path(shutil.copy(data_files(root).split[0], tmp_path / "other.hdf5"))
    with h5py.File(other, "r+") as file:
        file.attrs["n_trajectories_said"] = 2
    with pytest.warns(UserWarning, match="0.5 of the trajectories in folder 'train' are the validation part"):
        data = module(root, fractions=(0.5, 0.5, 0), window=9, tests={"other": other})
    assert n_windows(data.train_dataloader()) == 2 and n_windows(data.val_dataloader()) == 1
