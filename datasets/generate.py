"""Data from the reference solver: `python -m duhamel.datasets.generate pde=burgers n_samples=1000 out=burgers.hdf5`."""

import shlex
from pathlib import Path

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from duhamel.command_line import reported
from duhamel.datasets.joined import parts_of
from duhamel.datasets.launchers import Launcher, Processes
from duhamel.datasets.provenance import ErrorEstimate
from duhamel.datasets.recipe import Recipe
from duhamel.datasets.shards import Shards, usual_size
from duhamel.pdes import PDE

DTYPES = {"float32": torch.float32, "float64": torch.float64}
# Bytes up to which a data set is one plain file unless asked otherwise.
PLAIN_UP_TO = 1 << 28
# Overrides that say who makes the data: left out of the provenance, so that bits do not depend on it.
EXECUTION = ("launcher", "workers", "scheduler", "part", "parts", "overwrite", "debug", "hydra")


def generate(
    recipe: Recipe,
    out: Path,
    *,
    command: str,
    launcher: Launcher | None = None,
    shard_size: int | None = None,
    plain: bool | None = None,
    part: int = 0,
    parts: int = 1,
    overwrite: bool = False,
) -> ErrorEstimate:
    """Draw, solve and write a data set; returns the error that it states.

    Shards, made in any order by the launcher, lie in a folder beside `out` until all are there; then `out` appears. A
    run that was killed at whatever point is resumed by the same call. The error is estimated first: a resolution that
    fails does so before the long part. A sample that cannot be solved ends the run with a ValueError that names it: to
    draw another in its place would leave the hard cases out.

    shard_size: samples of a shard, a multiple of the batch size; by default such that there are about 64 shards.
    plain: whether `out` holds the data itself; else it is an HDF5 virtual data set over the shards, which stay. By
        default plain up to 256 MiB.
    part, parts: make every `parts`-th shard only, from number `part` on; whoever finds all shards there joins them.
    overwrite: remove `out` and its shards first; not with several parts, which would remove each other's.
    """
    if not 0 <= part < parts:
        raise ValueError(f"part must be one of 0 to parts - 1, got part = {part} of parts = {parts}")
    if plain and parts > 1:
        raise ValueError("a data set made in parts is a virtual one (plain=false): its shards must stay")
    if overwrite and parts > 1:
        raise ValueError(f"overwrite=true would remove what other parts have made; remove {Path(out)} and its shards")
    if plain is None:
        plain = parts == 1 and recipe.n_samples * recipe.bytes_per_sample <= PLAIN_UP_TO
    shards = Shards(recipe=recipe, out=Path(out).resolve(), size=shard_size or usual_size(recipe), command=command)
    if overwrite:
        shards.out.unlink(missing_ok=True)
        shards.remove()
    if shards.out.exists() and not shards.folder.is_dir():
        raise FileExistsError(f"{shards.out} exists; choose another name or set overwrite=true")
    shards.claim()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn()) as progress:
        judging = progress.add_task("estimating the error", total=None)
        torch.set_num_threads(recipe.threads)
        estimate = shards.estimate
        progress.remove_task(judging)
        if shards.out.exists() and not parts_of(shards.out):
            # Killed after the last rename.
            shards.remove()
            return estimate
        mine = range(part, len(shards), parts)
        missing = sorted(set(mine) & set(shards.missing()))
        counts = {shard: len(shards.samples(shard)) for shard in mine}
        done = sum(counts[shard] for shard in mine if shard not in missing)
        solving = progress.add_task("solving", total=sum(counts.values()), completed=done)
        for shard in (launcher or Processes())(shards.make, missing):
            progress.advance(solving, counts[shard])
    if not shards.missing():
        shards.join(plain=plain)
    return estimate


def recipe_of(config: DictConfig) -> Recipe:
    """What a configuration of `conf/generate.yaml` says about the content of a data set."""
    for name in ("dtype", "stored_dtype"):
        if config[name] not in DTYPES:
            raise ValueError(f"{name} must be one of {sorted(DTYPES)}, got {config[name]!r}")
    pde: PDE = hydra.utils.instantiate(config.pde)
    return Recipe(
        pde=pde,
        grid=pde.grid(tuple(config.shape)),
        n_samples=config.n_samples,
        dt=float(config.dt),
        n_steps=config.n_steps,
        refine=config.refine,
        substeps=config.substeps,
        seed=config.seed,
        batch_size=config.batch_size,
        error_samples=config.error_samples,
        max_refine=config.max_refine,
        warmup=config.warmup,
        threads=config.threads,
        dtype=DTYPES[config.dtype],
        stored_dtype=DTYPES[config.stored_dtype],
        device=config.device,
    )


@reported
@hydra.main(config_path="pkg://duhamel.conf", config_name="generate", version_base="1.3")
def main(config: DictConfig) -> None:
    """Generate one data set as the configuration says."""
    overrides = [o for o in HydraConfig.get().overrides.task if o.lstrip("+~").split("=")[0] not in EXECUTION]
    estimate = generate(
        recipe_of(config),
        Path(config.out),
        command=shlex.join(["python", "-m", "duhamel.datasets.generate", *overrides]),
        launcher=hydra.utils.instantiate(config.launcher),
        shard_size=config.shard_size,
        plain=config.plain,
        part=config.part,
        parts=config.parts,
        overwrite=config.overwrite,
    )
    if not Path(config.out).exists():
        print(f"{config.out}: part {config.part} of {config.parts} is complete, others are not")
        return
    print(
        f"{config.out}: {config.n_samples} trajectories; estimated relative L2 error of the solver: "
        f"mean {estimate.mean:.1e}, at most {estimate.maximum:.1e} of {estimate.n_samples} samples"
    )


if __name__ == "__main__":
    main()
