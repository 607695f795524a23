"""Which files a path stands for, and which of them a folder has already set aside for validation and testing."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

Paths = str | Path | Sequence[str | Path]

SUFFIXES = (".hdf5", ".h5")
# Ending of a folder that holds the shards of the data set beside it: no pattern means both.
SHARDS = ".shards"
# The Well's names of the folders that are the parts of a data set.
TRAIN, VALIDATION, TEST = "train", "valid", "test"


@dataclass(frozen=True, kw_only=True)
class DataFiles:
    """Files of one data set.

    split: those whose trajectories a random split divides into the parts that have no files of their own.
    validation, test: those that validate and test as a whole; empty where nobody has set them aside.
    root: the folder in whose train/, valid/ and test/ they lie, where they do.
    """

    split: tuple[Path, ...]
    validation: tuple[Path, ...] = ()
    test: tuple[Path, ...] = ()
    root: Path | None = None

    @property
    def all(self) -> tuple[Path, ...]:
        return (*self.split, *self.validation, *self.test)

    def fractions(self, wanted: tuple[float, float, float]) -> tuple[float, float, float]:
        """Of the files in `split`: a part with files of its own leaves its fraction to training.

        A warning says which part, for want of its folder, is taken from the training files.
        """
        if self.root is None:
            return wanted
        parts = (("validation", VALIDATION, self.validation, wanted[1]), ("test", TEST, self.test, wanted[2]))
        for part, folder, files, fraction in parts:
            if fraction > 0 and not files:
                warnings.warn(
                    f"{self.root} has no files in folder {folder!r}: {fraction:g} of the trajectories in folder "
                    f"{TRAIN!r} are the {part} part instead, and are not trained on",
                    stacklevel=2,
                )
        validation, test = (0.0 if files else fraction for _, _, files, fraction in parts)
        return 1.0 - validation - test, validation, test


def data_files(path: Paths) -> DataFiles:
    """The files of a path, a pattern, a folder or a list of them; of a data set in The Well's folders, part by part.

    A folder that holds train/, or data/train/, is such a data set: train/, valid/ and test/ are its parts.
    """
    root = _published_root(path)
    if root is None:
        return DataFiles(split=expand(path))
    if loose := _contents(root):
        raise ValueError(
            f"{root} holds folder {TRAIN!r} and data files beside it ({loose[0].name}, ...): name one of the two"
        )
    train, validation, test = (_contents(root / name) for name in (TRAIN, VALIDATION, TEST))
    if not train:
        raise ValueError(f"{root / TRAIN}: no {' or '.join(SUFFIXES)} file in it")
    return DataFiles(split=train, validation=validation, test=test, root=root)


def expand(path: Paths) -> tuple[Path, ...]:
    """Files that a path, a folder, a pattern or a list of them names, sorted within a folder or pattern."""
    entries = [path] if isinstance(path, str | Path) else list(path)
    found: list[Path] = []
    for entry in map(str, entries):
        matched = [Path(match) for match in sorted(glob(entry))] if has_magic(entry) else [Path(entry)]
        matches = [m for m in matched if m.suffix != SHARDS or not m.is_dir()] if len(matched) > 1 else matched
        if not matches:
            raise ValueError(f"no file matches {entry!r}")
        for match in matches:
            files = _contents(match) if match.is_dir() else (match,)
            if not files:
                raise ValueError(f"{match}: no {' or '.join(SUFFIXES)} file in this folder")
            found += files
    if not found:
        raise ValueError("no data file given")
    return tuple(found)


def _published_root(path: Paths) -> Path | None:
    """The folder that holds train/, where the path is it or the one above."""
    if not isinstance(path, str | Path):
        return None
    return next((folder for folder in (Path(path), Path(path) / "data") if (folder / TRAIN).is_dir()), None)


def _contents(folder: Path) -> tuple[Path, ...]:
    """Data files right in a folder, sorted; none where there is no such folder."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES and not p.name.startswith(".")))
