"""Files are written completely or not at all, in The Well's layout, bit for bit, and never without provenance."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from duhamel.datasets.provenance import ErrorEstimate, ForeignProvenance, Provenance
from duhamel.datasets.writer import Writer
from duhamel.fields import Boundary, Centring, Grid, Parameters, Problem, Quantity

GRID = Grid(
    shape=(6, 5),
    extent=(1.0, 2.0),
    boundary=(Boundary.PERIODIC, Boundary.DIRICHLET),
    centring=Centring.NODE,
    origin=(0.0, -1.0),
)
PROBLEM = Problem(
    equation="burgers",
    channels=(Quantity("u", "m/s"), Quantity("v", "m/s")),
    scalars=(Quantity("viscosity", "m2/s", minimum=0.0),),
    coefficients=(Quantity("forcing"),),
    grid=GRID,
    dt=0.1,
)
ERROR = ErrorEstimate(mean=1e-6, maximum=2e-6, n_samples=2, method="against a finer grid")


def provenance(problem: Problem = PROBLEM) -> Provenance:
    return Provenance(
        problem=problem,
        solver="SolverName",
        dtype="float64",
        n=(12, 10),
        substeps=4,
        estimated_error=ERROR,
        seed=3,
        command="python -m duhamel.datasets.generate",
    )


def batch(n: int, generator: torch.Generator, n_times: int = 3) -> tuple[torch.Tensor, Parameters]:
    u = torch.randn(n, n_times, 2, *GRID.shape, generator=generator)
    scalars = torch.rand(n, 1, generator=generator)
    return u, Parameters(scalars, torch.randn(n, 1, *GRID.shape, generator=generator))


@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_appended_in_batches_is_stored_bit_for_bit(
    tmp_path: Path, generator: torch.Generator, chunked: bool
) -> None:
    path = tmp_path / "deep" / "file.hdf5"
    u, params = batch(5, generator)
    with Writer(path, provenance(), n_trajectories=5, n_times=3, chunked=chunked) as writer:
        for part in (slice(0, 2), slice(2, 4), slice(4, 5)):
            writer.append(u[part], params[part])
    with h5py.File(path) as file:
        for i, name in enumerate(("u", "v")):
            assert np.array_equal(file["t0_fields"][name][...], u[:, :, i].numpy())
            assert file["t0_fields"][name].chunks == ((1, 1, 6, 5) if chunked else None)
        assert np.array_equal(file["t0_fields/forcing"][...], params.fields[:, 0].numpy())
        assert np.array_equal(file["scalars/viscosity"][...], params.scalars[:, 0].double().numpy())
        entries = json.loads(file.attrs["provenance"])
    assert Problem.from_dict(entries["problem"]) == PROBLEM
    assert entries["estimated_error"] == {"mean": 1e-6, "max": 2e-6, "n_samples": 2, "method": "against a finer grid"}
    assert (entries["equation"], entries["seed"], entries["substeps"], entries["dt"]) == ("burgers", 3, 4, 0.1)


def test_float64_is_kept_where_asked(tmp_path: Path, generator: torch.Generator) -> None:
    u, params = batch(1, generator)
    u = u.double() / 3
    with Writer(tmp_path / "f.hdf5", provenance(), n_trajectories=1, n_times=3, dtype=torch.float64) as writer:
        writer.append(u, params)
    with h5py.File(tmp_path / "f.hdf5") as file:
        assert np.array_equal(file["t0_fields/u"][...], u[:, :, 0].numpy())


def test_layout_is_what_the_wells_own_validator_demands(tmp_path: Path, generator: torch.Generator) -> None:
    path = tmp_path / "layout.hdf5"
    u, params = batch(2, generator)
    with Writer(path, provenance(), n_trajectories=2, n_times=3) as writer:
        writer.append(u, params)
    with h5py.File(path) as file:
        assert file.attrs["n_spatial_dims"] == 2 and file.attrs["n_trajectories"] == 2
        assert file.attrs["grid_type"] == "cartesian" and file.attrs["dataset_name"] == "layout"
        assert all(name in file.attrs for name in file.attrs["simulation_parameters"])
        dimensions = file["dimensions"]
        assert list(dimensions.attrs["spatial_dims"]) == ["x", "y"]
        assert np.allclose(dimensions["time"], [0, 0.1, 0.2])
        assert np.allclose(dimensions["x"], np.arange(6) / 6) and np.allclose(dimensions["y"], np.linspace(-1, 1, 5))
        for name in ("time", "x", "y"):
            assert isinstance(dimensions[name].attrs["sample_varying"], np.bool_)
            assert bool(dimensions[name].attrs["time_varying"]) == (name == "time")
        assert list(file["t0_fields"].attrs["field_names"]) == ["u", "v", "forcing"]
        for name in file["t0_fields"].attrs["field_names"]:
            field = file["t0_fields"][name]
            assert field.attrs["dim_varying"].dtype == bool and field.attrs["dim_varying"].all()
            assert field.attrs["sample_varying"] and field.shape[0] == 2
            assert bool(field.attrs["time_varying"]) == (name != "forcing")
        for group in ("t1_fields", "t2_fields"):
            assert isinstance(file[group].attrs["field_names"], np.ndarray)
            assert len(file[group].attrs["field_names"]) == 0
        assert list(file["scalars"].attrs["field_names"]) == ["viscosity"]
        assert file["scalars/viscosity"].attrs["sample_varying"] and not file["scalars/viscosity"].attrs["time_varying"]
        assert file["scalars/viscosity"].shape == (2,)
        conditions = file["boundary_conditions"]
        assert set(conditions) == {"x_periodic", "y_wall_dirichlet"}
        for name, dim, kind, n in (("x_periodic", "x", "PERIODIC", 6), ("y_wall_dirichlet", "y", "WALL", 5)):
            assert list(conditions[name].attrs["associated_dims"]) == [dim]
            assert conditions[name].attrs["bc_type"] == kind
            mask = conditions[name]["mask"][...]
            assert mask.dtype == bool and mask.shape == (n,) and mask.nonzero()[0].tolist() == [0, n - 1]


def test_nothing_lies_under_the_final_name_before_the_end_nor_after_an_error(
    tmp_path: Path, generator: torch.Generator
) -> None:
    path = tmp_path / "f.hdf5"
    u, params = batch(2, generator)
    with pytest.raises(RuntimeError, match="power cut"), Writer(path, provenance(), n_trajectories=4, n_times=3) as w:
        w.append(u, params)
        assert not path.exists()
        raise RuntimeError("power cut")
    with (
        pytest.raises(ValueError, match="4 trajectories promised, 2 written"),
        Writer(path, provenance(), n_trajectories=4, n_times=3) as writer,
    ):
        writer.append(u, params)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_survives_a_failed_overwrite(tmp_path: Path, generator: torch.Generator) -> None:
    path = tmp_path / "f.hdf5"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        Writer(path, provenance(), n_trajectories=1, n_times=3)
    with pytest.raises(ValueError), Writer(path, provenance(), n_trajectories=1, n_times=3, overwrite=True):
        pass
    assert path.read_bytes() == b"precious"
    with Writer(path, provenance(), n_trajectories=1, n_times=3, overwrite=True) as writer:
        writer.append(*batch(1, generator))
    assert h5py.is_hdf5(path)


def test_blown_up_trajectories_are_refused_by_name_unless_foreign(tmp_path: Path, generator: torch.Generator) -> None:
    u, params = batch(3, generator)
    u[2, 1, 0, 3, 3] = torch.nan
    with (
        pytest.raises(ValueError, match="trajectory 2 is not finite at state 1"),
        Writer(tmp_path / "own.hdf5", provenance(), n_trajectories=3, n_times=3) as writer,
    ):
        writer.append(u, params)
    foreign = ForeignProvenance(
        problem=PROBLEM,
        source="masked.npz",
        sha256="0" * 64,
        conversion="none",
        error_statement="not stated",
        command="test",
    )
    with Writer(tmp_path / "foreign.hdf5", foreign, n_trajectories=3, n_times=3) as writer:
        writer.append(u, params)
    with h5py.File(tmp_path / "foreign.hdf5") as file:
        assert np.isnan(file["t0_fields/u"][...]).sum() == 1
        assert json.loads(file.attrs["provenance"])["estimated_error"] is None


def test_wrong_shapes_are_refused(tmp_path: Path, generator: torch.Generator) -> None:
    u, params = batch(2, generator)
    with (
        pytest.raises(ValueError, match="states of shape"),
        Writer(tmp_path / "f.hdf5", provenance(), n_trajectories=2, n_times=4) as writer,
    ):
        writer.append(u, params)
    with (
        pytest.raises(ValueError, match="1 promised"),
        Writer(tmp_path / "f.hdf5", provenance(), n_trajectories=1, n_times=3) as writer,
    ):
        writer.append(u, params)
    with pytest.raises(ValueError, match="at least 2 states"):
        Writer(tmp_path / "f.hdf5", provenance(), n_trajectories=2, n_times=1)


@pytest.mark.parametrize(
    "change", [{"solver": ""}, {"command": ""}, {"n": ()}, {"estimated_error": None}, {"dtype": ""}]
)
@pytest.mark.filterwarnings("ignore")
def test_incomplete_provenance_is_refused(change: dict[str, object]) -> None:
    complete = {
        "problem": PROBLEM,
        "solver": "S",
        "dtype": "float64",
        "n": (4, 4),
        "substeps": 1,
        "estimated_error": ERROR,
        "seed": 0,
        "command": "c",
    }
    Provenance(**complete)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=next(iter(change))):
        Provenance(**(complete | change))  # type: ignore[arg-type]


def test_an_error_estimate_is_a_finite_number() -> None:
    for mean, maximum in ((float("nan"), 1.0), (1.0, float("inf")), (2.0, 1.0)):
        with pytest.raises(ValueError, match="error estimate"):
            ErrorEstimate(mean=mean, maximum=maximum, n_samples=1, method="m")
