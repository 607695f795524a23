"""A data set in the making: shards that appear whole, in a folder that knows what they are shards of."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from duhamel.datasets.files import SHARDS
from duhamel.datasets.joined import join
from duhamel.datasets.provenance import ErrorEstimate
from duhamel.datasets.recipe import Recipe
from duhamel.datasets.unfinished import partial, publish
from duhamel.datasets.writer import Writer

# Shards of a data set whose shard size nobody chose, about.
USUAL_NUMBER = 64


@dataclass(frozen=True, kw_only=True)
class Shards:
    """The shards of `out`: shard i holds `size` samples, the last one what is left.

    Whoever makes a shard makes the same bytes, and its name appears when it is complete: a killed run is resumed by
    making those that are absent, and two runs that make the same one do no harm.

    command: the command line, for the provenance.
    """

    recipe: Recipe
    out: Path
    size: int
    command: str

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % self.recipe.batch_size:
            raise ValueError(
                f"shard_size must be a multiple of batch_size ({self.recipe.batch_size}), which are solved together; "
                f"got {self.size}"
            )

    @property
    def folder(self) -> Path:
        return self.out.with_suffix(SHARDS)

    def __len__(self) -> int:
        return -(-self.recipe.n_samples // self.size)

    def samples(self, shard: int) -> range:
        return range(shard * self.size, min((shard + 1) * self.size, self.recipe.n_samples))

    def path(self, shard: int) -> Path:
        """The name holds a digest of the recipe: a worker that outlives its run writes none of another's shards."""
        return self.folder / f"{shard:05d}-{self._digest}.hdf5"

    def missing(self) -> list[int]:
        return [shard for shard in range(len(self)) if not self.path(shard).exists()]

    def claim(self) -> None:
        """Make the folder; ValueError, naming what differs, where it holds shards of another configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        manifest, wanted = self.folder / "recipe.json", self._described()
        if not manifest.exists():
            _write(manifest, wanted)
        found = json.loads(manifest.read_text())
        if differences := list(_differences(found, wanted)):
            raise ValueError(
                f"{self.folder} holds shards of another data set: {'; '.join(differences)}. Choose another name, the "
                "same configuration, or overwrite=true to begin anew"
            )

    @cached_property
    def estimate(self) -> ErrorEstimate:
        """Measured once for all shards, and kept beside them."""
        kept = self.folder / "estimate.json"
        if not kept.exists():
            measured = self.recipe.estimate()
            _write(kept, {name: getattr(measured, name) for name in ("mean", "maximum", "n_samples", "method")})
        return ErrorEstimate(**json.loads(kept.read_text()))

    def make(self, shard: int) -> int:
        """Solve and write one shard; returns its number."""
        torch.set_num_threads(self.recipe.threads)
        samples = self.samples(shard)
        try:
            with Writer(
                self.path(shard),
                self.recipe.provenance(self.estimate, self.command),
                n_trajectories=len(samples),
                n_times=self.recipe.n_times,
                dtype=self.recipe.stored_dtype,
                overwrite=True,
            ) as writer:
                for u, params in self.recipe.solved(samples):
                    writer.append(u, params)
        except OSError as error:
            raise OSError(
                f"{self.path(shard)}, samples {samples.start} to {samples.stop - 1} with seed {self.recipe.seed}, "
                f"cannot be written: {error}. Complete shards are kept: the same command goes on from there"
            ) from error
        return shard

    def join(self, *, plain: bool) -> None:
        """Put `out` in its place: one plain file, the shards being removed, or a virtual data set over them."""
        join([self.path(shard) for shard in range(len(self))], self.out, virtual=not plain)
        if plain:
            self.remove()
            return
        mine = {self.path(shard) for shard in range(len(self))}
        for left in (*self.folder.glob(".*.partial"), *(set(self.folder.glob("*.hdf5")) - mine)):
            left.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder, what says whose it is last."""
        for path in self.folder.glob("*.hdf5"):
            path.unlink()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    @cached_property
    def _digest(self) -> str:
        return hashlib.blake2b(json.dumps(self._described(), sort_keys=True).encode(), digest_size=4).hexdigest()

    def _described(self) -> dict[str, Any]:
        return self.recipe.described() | {"shard_size": self.size}


def usual_size(recipe: Recipe) -> int:
    """Samples of a shard, a multiple of the batch: about `USUAL_NUMBER` shards, whoever makes them."""
    batches = -(-recipe.n_samples // recipe.batch_size)
    return -(-batches // USUAL_NUMBER) * recipe.batch_size


def _write(path: Path, entries: dict[str, Any]) -> None:
    written = partial(path)
    written.write_text(json.dumps(entries, indent=1))
    publish(written, path)


def _differences(found: Any, wanted: Any, name: str = "") -> Any:
    """Entries that differ, by name: what is there, what is asked for."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            yield from _differences(found.get(key), wanted.get(key), f"{name}.{key}".strip("."))
    elif found != wanted:
        yield f"{name} is {found} there, {wanted} here"
