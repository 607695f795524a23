"""A data set is the same bytes whoever makes it, in whatever pieces, and however often they are killed."""

import hashlib
import multiprocessing
import os
import resource
import signal
import time
from dataclasses import replace
from pathlib import Path

import h5py
import hydra
import numpy as np
import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher as HydraLauncher

from duhamel.datasets.family import content_hash
from duhamel.datasets.files import expand
from duhamel.datasets.formats import open_source
from duhamel.datasets.generate import generate
from duhamel.datasets.launchers import Dask, Launcher, Processes
from duhamel.datasets.recipe import Recipe
from duhamel.datasets.shards import Shards
from duhamel.pdes import Advection, Burgers

PDE = Burgers()
# 24 shards of one batch, of some 20 ms each.
RECIPE = Recipe(
    pde=PDE, grid=PDE.grid((32,)), n_samples=46, dt=0.05, n_steps=3, refine=8, substeps=16, seed=1, batch_size=2,
    error_samples=2,
)  # fmt: skip
QUICK = Recipe(
    pde=Advection(), grid=Advection().grid((16,)), n_samples=10, dt=0.1, n_steps=2, refine=1, substeps=1, seed=3,
    batch_size=2, error_samples=1,
)  # fmt: skip


def make(folder: Path, recipe: Recipe = QUICK, **options: object) -> Path:
    generate(recipe, folder / "f.hdf5", command="test", **options)  # type: ignore[arg-type]
    return folder / "f.hdf5"


def contents(folder: Path) -> dict[str, str]:
    """Name and hash of every file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def child(folder: Path) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # no bars among the tests' output
    make(folder, RECIPE)


def test_killed_at_random_and_resumed_it_is_bit_identical(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["duhamel.datasets.generate"])
    killed = tmp_path / "killed"

    def run(folder: Path, kill_after: float | None = None) -> tuple[int, float]:
        """Killed after so many seconds, but not before a shard is complete: otherwise nothing would be resumed."""
        process = context.Process(target=child, args=(folder,))
        start = time.monotonic()
        process.start()
        process.join(kill_after)
        while process.exitcode is None and not list(folder.rglob("0*.hdf5")):
            process.join(0.005)
        if process.exitcode is None:
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
        return process.exitcode or 0, time.monotonic() - start

    run(tmp_path / "warm")  # starts the server, imports torch
    code, seconds = run(tmp_path / "undisturbed")
    assert code == 0
    # Each run gets further than the one before, to a moment nobody chose: of writing, renaming, joining.
    ends = np.random.default_rng().uniform([0.2, 0.5, 0.8], [0.5, 0.8, 1.1]) * seconds
    done = [0.0]
    for after in np.diff(ends, prepend=0.0):
        code, _ = run(killed, float(after) + 0.1 * seconds)
        done.append(len(list(killed.rglob("0*.hdf5"))))
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert done[1] > 0
    if code != 0:
        assert run(killed)[0] == 0
    assert contents(killed) == contents(tmp_path / "undisturbed")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by this process, in one piece."""
    return make(tmp_path_factory.mktemp("reference"), shard_size=10)


def test_workers_and_shards_leave_no_trace(tmp_path: Path, reference: Path) -> None:
    for name, options in {"two": {"launcher": Processes(2)}, "halves": {"shard_size": 6}}.items():
        out = make(tmp_path / name, **options)
        assert out.read_bytes() == reference.read_bytes()
        assert [p.name for p in out.parent.iterdir()] == ["f.hdf5"]


def test_a_dask_cluster_makes_the_same(tmp_path: Path, reference: Path) -> None:
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(scheduler_port=0, local_directory=str(tmp_path / "dask"), **options) as cluster:
        out = make(tmp_path / "f", launcher=Dask(cluster.scheduler_address))
        assert out.read_bytes() == reference.read_bytes()
        hopeless = Shards(recipe=replace(RECIPE, refine=1), out=tmp_path / "g.hdf5", size=2, command="test")
        with pytest.raises(ValueError, match=r"sample 0 of 46 \(seed 1, viscosity"):
            list(Dask(cluster.scheduler_address)(hopeless.make, [0, 1]))


def test_parts_made_apart_are_joined_by_the_last(tmp_path: Path, reference: Path) -> None:
    for part in (2, 0):
        make(tmp_path, shard_size=2, part=part, parts=3)
        assert not (tmp_path / "f.hdf5").exists()
    out = make(tmp_path, shard_size=2, part=1, parts=3)
    joined, whole = open_source(out), open_source(reference)
    assert joined.problem == whole.problem and joined.n_trajectories == whole.n_trajectories == 10
    assert np.array_equal(joined.scalars, whole.scalars)
    for i in range(10):
        assert np.array_equal(joined.read(i, 0, 3), whole.read(i, 0, 3))
        assert np.array_equal(joined.read(i, 1, 2), whole.read(i, 1, 2))


def test_a_virtual_data_set_moves_with_its_shards_and_misses_them(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    out = make(tmp_path / "here", plain=False)
    before = content_hash([out])
    states = open_source(out).read(9, 0, 3)
    assert expand(str(tmp_path / "here" / "*")) == (out,), "a pattern counts no trajectory twice"
    moved = (tmp_path / "here").rename(tmp_path / "there") / "f.hdf5"
    assert np.array_equal(open_source(moved).read(9, 0, 3), states) and content_hash([moved]) == before
    (shard,) = (tmp_path / "there" / "f.shards").glob("00001-*.hdf5")
    with h5py.File(shard, "r+") as file:
        file["t0_fields/concentration"][...] = 0
    assert content_hash([moved]) != before, "the hash of a data set is that of its shards"
    shard.unlink()
    with pytest.raises(ValueError, match=r"joins 5 files, of which 1 are absent.*00001-\w+\.hdf5"):
        open_source(moved)
    make(tmp_path / "there", plain=False)
    assert np.array_equal(open_source(moved).read(9, 0, 3), states), "the same call makes what is missing"


def test_another_configuration_is_refused_and_says_what_differs(tmp_path: Path) -> None:
    out = make(tmp_path, plain=False)
    before = contents(tmp_path)
    for other, said in (
        (replace(QUICK, seed=4), "seed is 3 there, 4 here"),
        (replace(QUICK, pde=Advection(length=2.0)), r"pde\.length is 1\.0 there, 2\.0 here"),
        (replace(QUICK, n_samples=12), "n_samples is 10 there, 12 here"),
    ):
        with pytest.raises(ValueError, match=said):
            make(tmp_path, other, shard_size=2, plain=False)
    assert contents(tmp_path) == before
    make(tmp_path, replace(QUICK, seed=4), plain=False, overwrite=True)
    assert open_source(out).provenance["seed"] == 4


def test_a_worker_that_outlives_its_run_harms_no_other(tmp_path: Path, reference: Path) -> None:
    """What it writes late is not taken for a shard of the run that begins anew."""
    late = Shards(recipe=replace(QUICK, seed=4), out=tmp_path / "f.hdf5", size=2, command="test")
    late.claim()
    assert late.estimate.n_samples == 1
    anew = Shards(recipe=QUICK, out=tmp_path / "f.hdf5", size=2, command="test")
    anew.remove()
    anew.claim()
    late.make(0)
    assert anew.missing() == [0, 1, 2, 3, 4]
    assert make(tmp_path, shard_size=2).read_bytes() == reference.read_bytes()


@pytest.mark.parametrize(
    "options", [{"part": 1}, {"parts": 2, "plain": True}, {"parts": 2, "overwrite": True}, {"shard_size": 3}]
)
def test_impossible_divisions_are_refused(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"part|shard_size"):
        make(tmp_path, **options)


def test_a_full_disk_names_the_samples_and_leaves_what_was_complete(tmp_path: Path) -> None:
    """Space is claimed before it is written to; the limit on the size of a file refuses it as a full disk does."""
    large = replace(QUICK, grid=QUICK.pde.grid((1024,)))

    class Filling:
        """After two shards, of 24 KiB each, no file may grow beyond 32 KiB."""

        def __call__(self, task, items):
            for n, item in enumerate(items):
                if n == 2:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 15, hard))
                yield task(item)

    filling: Launcher = Filling()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match=r"samples 4 to 5 with seed 3, cannot be written.*same command goes on"):
            make(tmp_path, large, launcher=filling)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    left = sorted((tmp_path / "f.shards").iterdir())
    assert [path.name.split("-")[0] for path in left] == ["00000", "00001", "estimate.json", "recipe.json"]
    assert open_source(left[1]).n_trajectories == 2
    assert make(tmp_path, large).read_bytes() == make(tmp_path / "undisturbed", large).read_bytes()


def test_launchers_are_configured_by_name() -> None:
    base = ["pde=burgers", "n_samples=4", "out=f.hdf5"]
    with hydra.initialize_config_module("duhamel.conf", version_base="1.3"):
        here = hydra.compose("generate", overrides=[*base, "workers=3"])
        dask = hydra.compose("generate", overrides=[*base, "launcher=dask", "scheduler=tcp://host:8786"])
        slurm = hydra.compose(
            "generate",
            overrides=[*base, "parts=8", "part=2", "hydra/launcher=submitit_slurm"],
            return_hydra_config=True,
        )
    assert hydra.utils.instantiate(here.launcher) == Processes(3)
    assert hydra.utils.instantiate(dask.launcher) == Dask("tcp://host:8786")
    assert (slurm.part, slurm.parts) == (2, 8)
    launcher = hydra.utils.get_class(slurm.hydra.launcher._target_)
    assert launcher in Plugins.instance().discover(HydraLauncher)
