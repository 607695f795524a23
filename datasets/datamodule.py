"""What Lightning trains on: files, split, windows and loaders put together."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning
from torch.utils.data import DataLoader, Sampler, SequentialSampler

from duhamel.datasets.family import check_family, check_same_kind, check_unseen, content_hash
from duhamel.datasets.files import Paths, data_files, expand
from duhamel.datasets.finite import FiniteWindows
from duhamel.datasets.formats import open_source
from duhamel.datasets.loader import window_loader
from duhamel.datasets.memory import load
from duhamel.datasets.schema import Source
from duhamel.datasets.selection import select
from duhamel.datasets.splits import require_fractions, split_by_index
from duhamel.datasets.statistics import training_statistics
from duhamel.datasets.windows import EpochShuffle, Windows
from duhamel.fields import Problem, Statistics, Trajectory

# Name of the data set's own test part beside test files that have names.
HELD_OUT = "held_out"


class HDF5DataModule(lightning.LightningDataModule):
    """Trajectories in HDF5 files: windows of them to train on, whole ones to validate and test on.

    path: a file, a folder, a pattern such as "data/burgers_nu*.hdf5", or a list of these; several files (one a
        parameter value) form one data set and share one split by trajectory index. Or a data set in The Well's
        folders, (data/){train,valid,test}: then these are the parts.
    batch_size, eval_batch_size: windows; whole trajectories (as many as batch_size where not given). Of all processes
        together, where several share the training: their number changes no step.
    window: states a training window holds; None for whole trajectories.
    fractions: of trajectories that train, validate and test, drawn by `seed`. A part that has a folder of its own
        leaves its fraction to training.
    shuffle_seed: of the order of the training windows, another in each epoch. The split does not depend on it: several
        trainings of one split each get an order of their own.
    n_times: states a trajectory is cut to, counted after `time_stride`.
    time_stride, space_stride: keep every so-many-th state or point (plain decimation).
    in_memory: read everything at setup, if it fits into `memory_budget` bytes (half of the machine's memory).
    n_samples: use only so many training trajectories of each file; smaller choices are subsets of larger ones.
    tests: named test files, perhaps at another resolution: a path, or a dict of path and those of n_times,
        time_stride and space_stride that differ from the training files'. The first is the principal test set; the
        data set's own test part, where it is not empty, comes last under the name "held_out" (alone it is "test").
    mapping: describes files of a layout of your own (docs/own_data.md). equation: names the PDE where no file does.
    """

    def __init__(
        self,
        path: Paths,
        batch_size: int,
        *,
        eval_batch_size: int | None = None,
        window: int | None = None,
        fractions: Sequence[float | int] = (0.8, 0.1, 0.1),
        seed: int = 0,
        shuffle_seed: int = 0,
        n_times: int | None = None,
        time_stride: int = 1,
        space_stride: int = 1,
        num_workers: int = 0,
        in_memory: bool = False,
        memory_budget: int | None = None,
        n_samples: int | None = None,
        tests: Mapping[str, Paths | Mapping[str, Any]] | None = None,
        mapping: Mapping[str, Any] | str | Path | None = None,
        equation: str | None = None,
    ) -> None:
        super().__init__()
        self.files = data_files(path)
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size or batch_size
        self.window, self.n_samples = window, n_samples
        self.seed, self.shuffle_seed = seed, shuffle_seed
        require_fractions(wanted := tuple(map(float, fractions)))
        self.fractions = self.files.fractions((wanted[0], wanted[1], wanted[2]))
        self.selection = {"n_times": n_times, "time_stride": time_stride, "space_stride": space_stride}
        self.num_workers, self.in_memory, self.memory_budget = num_workers, in_memory, memory_budget
        self.tests = dict(tests or {})
        self.mapping, self.equation = mapping, equation
        has_test_part = self.fractions[2] > 0 or bool(self.files.test)
        if not has_test_part and not self.tests:
            raise ValueError("nothing to test on: the test fraction is 0 and no test files are named")
        if has_test_part and HELD_OUT in self.tests:
            raise ValueError(f"{HELD_OUT!r} names the data set's own test part; name the test files otherwise")
        self._ready = False

    def setup(self, stage: str | None = None) -> None:
        """Opens, checks and splits the files; reads data only where `in_memory` asks for it."""
        if self._ready:  # Lightning calls once a stage; the split does not depend on the stage
            return
        sources = self._open(self.files.all, {})
        self.problem: Problem = check_family(sources)
        check_unseen(self.files.test, (*self.files.split, *self.files.validation))
        n_split, n_validation = len(self.files.split), len(self.files.validation)
        self._split = split_by_index(max(s.n_trajectories for s in sources[:n_split]), self.fractions, seed=self.seed)
        # Of every source the trajectories of each part: none of a file that is another part as a whole.
        own = ["split"] * n_split + ["validation"] * n_validation + ["test"] * len(self.files.test)
        self._sources, self._part_of = sources, own
        self._train = [self._training_part(s) if o == "split" else () for s, o in zip(sources, own, strict=True)]
        self._validation = self._held_out("validation", self._split.validation)
        if not any(self._validation):
            raise ValueError(
                f"nothing to validate on, so no best model to choose: the validation fraction is {self.fractions[1]:g} "
                f"and {sources[0].path} comes with no validation files; give it a positive fraction"
            )
        test = self._held_out("test", self._split.test)
        self._test_sets: dict[str, tuple[Sequence[Source], Sequence[Sequence[int]]]] = {}
        for name, entry in self.tests.items():
            options = dict(entry) if isinstance(entry, Mapping) else {"path": entry}
            paths = expand(options.pop("path"))
            named = self._open(paths, options)
            check_unseen(paths, (*self.files.split, *self.files.validation))
            check_family(named)
            check_same_kind(sources[0], named[0])
            self._test_sets[name] = (named, [range(s.n_trajectories) for s in named])
        if any(test):
            self._test_sets[HELD_OUT if self.tests else "test"] = (sources, test)
        self.test_names: tuple[str, ...] = tuple(self._test_sets)
        self.data_hash: str = content_hash(self.files.all)
        self.provenance: dict[str, Any] = dict(sources[0].provenance)
        if self.in_memory:
            self._sources = load(
                sources,
                [(*t, *v) for t, v in zip(self._train, self._validation, strict=True)],
                budget=self.memory_budget,
            )
        self._ready = True

    @property
    def split(self) -> dict[str, Any]:
        """Record of who trains and who tests, to be stored with the model.

        Indices are those of files whose part is "split"; the others are a part as a whole.
        """
        files = [
            {"name": s.path.name, "n_trajectories": s.n_trajectories, "part": part}
            for s, part in zip(self._sources, self._part_of, strict=True)
        ]
        return {**self._split.to_dict(), "n_samples": self.n_samples, "files": files, "data_hash": self.data_hash}

    @property
    def amount(self) -> dict[str, int]:
        """How many trajectories the files hold, and steps of the longest: what the data cost is counted by."""
        sources = self._sources
        return {
            "n_trajectories": sum(s.n_trajectories for s in sources),
            "n_steps": max(s.n_times for s in sources) - 1,
        }

    @cached_property
    def statistics(self) -> Statistics:
        """Moments of the training trajectories, read once when first asked for.

        The others are read through with them: what is not finite must not be found out when training is over.
        """
        for sources, chosen in ((self._sources, self._validation), *self._test_sets.values()):
            FiniteWindows(sources, chosen).read_through()
        return training_statistics(self._sources, self._train)

    def train_dataloader(self) -> DataLoader[Trajectory]:
        windows = Windows(self._sources, self._train, length=None if self.problem.steady else self.window)
        return self._loader(windows, EpochShuffle(len(windows), seed=self.shuffle_seed), self.batch_size)

    def val_dataloader(self) -> DataLoader[Trajectory]:
        return self._whole(self._sources, self._validation)

    def test_dataloader(self) -> list[DataLoader[Trajectory]]:
        """One loader a name of `test_names`."""
        return [self._whole(*self._test_sets[name]) for name in self.test_names]

    def _open(self, paths: Sequence[Path], options: Mapping[str, Any]) -> tuple[Source, ...]:
        if unknown := set(options) - set(self.selection):
            raise ValueError(
                f"options {sorted(unknown)} of a test set are unknown, allowed are path, {', '.join(self.selection)}"
            )
        return tuple(
            select(open_source(path, mapping=self.mapping, equation=self.equation), **{**self.selection, **options})
            for path in paths
        )

    def _training_part(self, source: Source) -> tuple[int, ...]:
        part = _present(self._split.train, source)
        if self.n_samples is None:
            return part
        if not 1 <= self.n_samples <= len(part):
            raise ValueError(f"{source.path}: n_samples = {self.n_samples}, the training part holds {len(part)}")
        return part[: self.n_samples]

    def _held_out(self, part: str, indices: Sequence[int]) -> list[Sequence[int]]:
        """Of every source the trajectories that validate, or test."""
        return [
            range(s.n_trajectories) if own == part else _present(indices, s) if own == "split" else ()
            for s, own in zip(self._sources, self._part_of, strict=True)
        ]

    def _whole(self, sources: Sequence[Source], trajectories: Sequence[Sequence[int]]) -> DataLoader[Trajectory]:
        windows = FiniteWindows(sources, trajectories)
        return self._loader(windows, SequentialSampler(windows), self.eval_batch_size)

    def _loader(self, windows: Windows, sampler: Sampler[int], batch_size: int) -> DataLoader[Trajectory]:
        share = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return window_loader(
            windows, sampler, batch_size=batch_size, num_workers=self.num_workers, seed=self.seed, share=share
        )


def _present(indices: Sequence[int], source: Source) -> tuple[int, ...]:
    """Those of the shared indices that a file holds: files of one data set may differ in length."""
    return tuple(i for i in indices if i < source.n_trajectories)
