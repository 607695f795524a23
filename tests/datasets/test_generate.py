"""Generated data depend on the seed alone, equal the reference solver's states, and say how wrong they are."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import hydra
import numpy as np
import pytest
import torch

from duhamel.datasets.formats import open_source
from duhamel.datasets.generate import generate
from duhamel.datasets.recipe import Recipe, draw
from duhamel.fields import Grid, Parameters
from duhamel.pdes import EQUATIONS, PDE, Advection, Burgers, Darcy
from duhamel.solvers import estimated_error, reference_trajectory

pytestmark = pytest.mark.usefixtures("unchecked")  # solvers take thousands of steps

SMALL = {"n_samples": 5, "dt": 0.05, "n_steps": 3, "refine": 8, "substeps": 16, "seed": 1, "batch_size": 5}


def make(path: Path, pde: PDE | None = None, shape: tuple[int, ...] = (32,), **options: object) -> Path:
    pde = pde or Burgers()
    settings = SMALL | {"error_samples": 2} | options
    generate(Recipe(pde=pde, grid=pde.grid(shape), **settings), path, command="test")  # type: ignore[arg-type]
    return path


def test_samples_depend_on_seed_and_index_only(tmp_path: Path) -> None:
    whole = open_source(make(tmp_path / "whole.hdf5", stored_dtype=torch.float64))
    parts = open_source(make(tmp_path / "parts.hdf5", batch_size=2, stored_dtype=torch.float64))
    longer = open_source(make(tmp_path / "longer.hdf5", n_samples=7, batch_size=3, stored_dtype=torch.float64))
    other = open_source(make(tmp_path / "other.hdf5", seed=2, stored_dtype=torch.float64))
    for source in (parts, longer):
        assert np.array_equal(source.scalars[:5], whole.scalars)
        for i in range(5):
            assert np.array_equal(source.read(i, 0, 1), whole.read(i, 0, 1))
            # FFTs of a batch may round otherwise than those of a part of it.
            assert np.allclose(source.read(i, 0, 4), whole.read(i, 0, 4), rtol=0, atol=1e-12)
    assert len({whole.read(i, 0, 1).tobytes() for i in range(5)}) == 5
    assert not np.allclose(other.read(0, 0, 1), whole.read(0, 0, 1), atol=1e-2)
    assert len(np.unique(np.concatenate([whole.scalars, other.scalars]))) == 10


def test_states_are_the_reference_solvers(tmp_path: Path) -> None:
    source = open_source(make(tmp_path / "f.hdf5"))
    pde = Burgers()
    grid = pde.grid((32,))
    u0, params = draw(pde, grid, range(5), seed=1)
    u = reference_trajectory(pde, u0, params, grid, 0.05, 3, refine=8, substeps=16)
    stored = np.stack([source.read(i, 0, 4) for i in range(5)])
    assert np.array_equal(stored, u.float().numpy())
    assert source.problem == pde.problem(grid, 0.05)
    assert np.array_equal(source.scalars, params.scalars.numpy())


def test_the_file_states_the_error_that_was_measured(tmp_path: Path) -> None:
    provenance = open_source(make(tmp_path / "f.hdf5")).provenance
    pde = Burgers()
    grid = pde.grid((32,))
    error = estimated_error(pde, *draw(pde, grid, range(2), seed=1), grid, 0.05, 3, refine=8, substeps=16)
    assert provenance["estimated_error"]["max"] == pytest.approx(float(error.max()), rel=1e-6)
    assert provenance["estimated_error"]["mean"] == pytest.approx(float(error.mean()), rel=1e-6)
    assert 0 < provenance["estimated_error"]["max"] < 1e-2
    expected = {"n": [256], "substeps": 16, "seed": 1, "dtype": "float64", "solver": "ETDRK4", "dt": 0.05}
    assert {key: provenance[key] for key in expected} == expected


def test_stationary_problems_store_the_solution(tmp_path: Path) -> None:
    pde = Darcy()
    grid = pde.grid((8, 8))
    make(
        tmp_path / "d.hdf5", pde, (8, 8), n_samples=2, dt=0.0, n_steps=1, refine=2, substeps=1, seed=0, batch_size=2,
        error_samples=1, stored_dtype=torch.float64,
    )  # fmt: skip
    with h5py.File(tmp_path / "d.hdf5") as file:
        assert file["t0_fields/pressure"].shape == (2, 1, 8, 8)
        assert json.loads(file.attrs["provenance"])["substeps"] == 0
    source = open_source(tmp_path / "d.hdf5")
    u0, params = draw(pde, grid, range(2), seed=0)
    u = reference_trajectory(pde, u0, params, grid, 0.0, 1, refine=2, substeps=1)
    for i in range(2):
        assert np.allclose(source.read(i, 0, 2), u[i].numpy(), rtol=0, atol=1e-13)
        assert np.array_equal(source.read_coefficients(i), params.fields[i].numpy())


def test_an_exact_solver_states_a_rounding_error(tmp_path: Path) -> None:
    pde = Advection()
    recipe = Recipe(
        pde=pde, grid=pde.grid((32,)), n_samples=1, dt=0.1, n_steps=2, refine=1, substeps=1, seed=0, batch_size=1,
        error_samples=9,
    )  # fmt: skip
    estimate = generate(recipe, tmp_path / "a.hdf5", command="test")
    assert estimate.n_samples == 1 and estimate.maximum < 1e-12


def test_an_existing_file_is_not_touched_and_nonsense_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.hdf5").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        make(tmp_path / "f.hdf5")
    assert (tmp_path / "f.hdf5").read_bytes() == b"precious"
    for name in ("n_samples", "batch_size", "error_samples"):
        with pytest.raises(ValueError, match=name):
            make(tmp_path / "g.hdf5", **{name: 0})


def test_a_sample_that_is_not_resolved_is_named_and_no_file_is_left(tmp_path: Path) -> None:
    """Sample 4 of 7, the second one of the second batch, is the only one with a viscosity too small for the grid."""

    class OneHard(Burgers):
        def sample_params(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Parameters:
            hard = generator.initial_seed() == seed_of_hard
            params = super().sample_params(grid, n_samples, generator)
            return replace(params, scalars=torch.full_like(params.scalars, 1e-5 if hard else 0.03))

    seed_of_hard = int(np.random.SeedSequence([3, 4]).generate_state(1, np.uint64)[0])
    hard = {"pde": OneHard(), "n_samples": 7, "seed": 3, "batch_size": 3}
    for error_samples in (1, 7):  # met while solving, and while estimating the error
        with pytest.raises(ValueError, match=r"sample 4 of 7 \(seed 3, viscosity 1e-05\).*refine=8") as said:
            make(tmp_path / "f.hdf5", error_samples=error_samples, **hard)  # type: ignore[arg-type]
        assert all(part in str(said.value) for part in ("spectral tail", "a larger refine", "substeps"))
        assert "sample 0" not in str(said.value) and "sample 1" not in str(said.value)
        assert not (tmp_path / "f.hdf5").exists()
        (tmp_path / "f.shards").rename(tmp_path / f"after {error_samples}")
    (complete,) = (tmp_path / "after 1").glob("*.hdf5")
    assert open_source(complete).n_trajectories == 3, "what was complete is usable"
    assert not list((tmp_path / "after 7").glob("*.hdf5"))


def test_every_equation_has_a_configuration_that_builds_it() -> None:
    for name, kind in EQUATIONS.items():
        with hydra.initialize_config_module("duhamel.conf", version_base="1.3"):
            config = hydra.compose("generate", overrides=[f"pde={name}", "n_samples=1", "out=f.hdf5"])
        pde = hydra.utils.instantiate(config.pde)
        assert type(pde) is kind
        problem = pde.problem(pde.grid(tuple(config.shape)), float(config.dt))
        assert problem.steady == (config.n_steps == 1 and config.dt == 0)


def test_the_command_writes_a_readable_file(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "duhamel.datasets.generate", "pde=burgers", "n_samples=2", "out=f.hdf5", "shape=[16]",
        "n_steps=2", "refine=16", "substeps=16", "seed=5",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["f.hdf5"], "Hydra left files behind"
    source = open_source(tmp_path / "f.hdf5")
    assert (source.n_trajectories, source.n_times, source.problem.grid.shape) == (2, 3, (16,))
    assert "pde=burgers" in source.provenance["command"] and source.provenance["seed"] == 5


def test_adaptive_grids_and_a_warm_up_give_the_same_trajectories(tmp_path: Path) -> None:
    """States 2 to 4 of a longer run; a grid of its own for every frame."""
    common = {"n_samples": 3, "error_samples": 3, "stored_dtype": torch.float64}
    longer = open_source(make(tmp_path / "a.hdf5", n_steps=4, **common))
    how = {"refine": 1, "max_refine": 8, "substeps": 4, "warmup": 2, "n_steps": 2}
    later = open_source(make(tmp_path / "b.hdf5", **common, **how))
    stated = sum(source.provenance["estimated_error"]["max"] for source in (longer, later))
    assert 0 < stated < 1e-4
    for i in range(3):
        difference = later.read(i, 0, 3) - longer.read(i, 2, 5)
        assert np.linalg.norm(difference) < 2 * stated * np.linalg.norm(longer.read(i, 2, 5))
    assert later.provenance["solver"] == "AdaptiveETDRK4" and later.provenance["n"] == [256]
    assert "in every frame" in later.provenance["estimated_error"]["method"]
    with pytest.raises(ValueError, match="refine must be 1"):
        make(tmp_path / "c.hdf5", max_refine=8)
