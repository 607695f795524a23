"""What the writer writes is what the reader reads, problem and all."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from duhamel.datasets import open_source
from duhamel.datasets.provenance import ErrorEstimate, Provenance
from duhamel.datasets.writer import Writer
from duhamel.fields import Boundary, Centring, Grid, Parameters, Problem, Quantity


def write(path: Path, problem: Problem, n_times: int) -> tuple[torch.Tensor, Parameters]:
    generator = torch.Generator().manual_seed(0)
    shape = problem.grid.shape
    u = torch.randn(4, n_times, len(problem.channels), *shape, generator=generator, dtype=torch.float64)
    params = Parameters(
        torch.rand(4, len(problem.scalars), generator=generator, dtype=torch.float64),
        torch.rand(4, len(problem.coefficients), *shape, generator=generator, dtype=torch.float64),
    )
    provenance = Provenance(
        problem=problem,
        solver="none",
        dtype="float64",
        n=shape,
        substeps=1,
        estimated_error=ErrorEstimate(mean=0.0, maximum=1e-6, n_samples=4, method="drawn, not solved"),
        seed=0,
        command="none",
    )
    with Writer(path, provenance, n_trajectories=4, n_times=n_times, dtype=torch.float64) as writer:
        writer.append(u[:3], params[:3])
        writer.append(u[3:], params[3:])
    return u, params


@pytest.mark.parametrize("dt", [0.3, 0.0])
@pytest.mark.parametrize("centring", Centring)
def test_round_trip(tmp_path: Path, dt: float, centring: Centring) -> None:
    problem = Problem(
        equation="made_up",
        channels=(Quantity("w", "m/s"), Quantity("b", minimum=0.0)),
        scalars=(Quantity("nu", "m^2/s", minimum=0.0), Quantity("a")),
        coefficients=(Quantity("permeability", minimum=0.0),),
        grid=Grid(
            shape=(8, 6),
            extent=(2 * torch.pi, 1.0),
            boundary=(Boundary.NEUMANN, Boundary.DIRICHLET),
            centring=centring,
            origin=(0.3, 0.0),
        ),
        dt=dt,
    )
    u, params = write(tmp_path / "own.hdf5", problem, 5 if dt else 1)
    source = open_source(tmp_path / "own.hdf5")
    assert source.problem == problem
    assert source.provenance["estimated_error"]["max"] == 1e-6
    assert source.n_times == (5 if dt else 2) and source.n_trajectories == 4
    np.testing.assert_array_equal(source.scalars, params.scalars)
    for i in range(4):
        states = source.read(i, 0, source.n_times)
        np.testing.assert_array_equal(states if dt else states[1:], u[i])
        assert dt or not states[0].any()
        np.testing.assert_array_equal(source.read_coefficients(i), params.fields[i])


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("t0_fields/w", (4, 5, 7), r"dataset 't0_fields/w': shape \(4, 5, 7\)"),
        ("t0_fields/b", (4, 4, 8), r"dataset 't0_fields/b': shape \(4, 4, 8\)"),
        ("scalars/nu", (3,), r"dataset 'scalars/nu': of shape \(3,\), expected one number or 4"),
        ("scalars/nu", None, r"dataset 'scalars/nu': absent"),
        ("t0_fields/b", None, r"field 'b' of its field_names is absent"),
    ],
)
def test_a_file_that_contradicts_its_provenance_is_refused(
    tmp_path: Path, name: str, shape: tuple[int, ...] | None, message: str
) -> None:
    grid = Grid(shape=(8,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    problem = Problem(
        equation="made_up",
        channels=(Quantity("w"), Quantity("b")),
        scalars=(Quantity("nu"),),
        coefficients=(),
        grid=grid,
        dt=0.1,
    )
    path = tmp_path / "own.hdf5"
    write(path, problem, 5)
    with h5py.File(path, "a") as file:
        attrs = dict(file[name].attrs)
        del file[name]
        if shape is not None:
            file[name] = np.zeros(shape)
            file[name].attrs.update(attrs)
    with pytest.raises(ValueError, match=f"own.hdf5.*{message}"):
        open_source(path)
