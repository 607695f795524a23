"""Every layout arrives as (time, channel, *space), x first, in physical parameters."""

import math
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from duhamel.datasets import open_source
from duhamel.datasets.arrays import ArraySource
from duhamel.datasets.coordinates import inferred, spacing
from duhamel.fields import Boundary, Centring, Grid

Labels = Callable[..., np.ndarray]


def names(source: ArraySource) -> tuple[list[str], list[str], list[str]]:
    problem = source.problem
    channels, scalars, coefficients = problem.channels, problem.scalars, problem.coefficients
    return [q.name for q in channels], [q.name for q in scalars], [q.name for q in coefficients]


def everything(source: ArraySource) -> np.ndarray:
    return np.stack([source.read(i, 0, source.n_times) for i in range(source.n_trajectories)])


def test_burgers_has_viscosity_nu_over_pi_and_no_surplus_time(
    burgers_like: Callable[..., Path], expected: Labels
) -> None:
    source = open_source(burgers_like())
    assert (source.problem.equation, source.n_times, source.problem.dt) == ("burgers", 11, 0.01)
    assert names(source) == (["velocity"], ["viscosity"], [])
    assert source.problem.scalars[0].minimum == 0
    np.testing.assert_allclose(source.scalars, 0.1 / math.pi)
    assert source.problem.grid == Grid(
        shape=(16,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=Centring.CELL
    )
    np.testing.assert_array_equal(everything(source), expected(6, 11, 1, 16).astype(np.float32))


@pytest.mark.parametrize(
    ("file", "attrs", "equation", "scalars"),
    [
        ("a.hdf5", {"beta": 0.4}, "advection", [0.4]),
        ("b.hdf5", {"Nu": 0.5, "rho": 2.0}, "reaction_diffusion", [0.5, 2.0]),
        ("1D_Advection_Sols_beta0.7.hdf5", {}, "advection", [0.7]),
        ("ReacDiff_Nu0.5_Rho10.0.hdf5", {}, "reaction_diffusion", [0.5, 10.0]),
        ("1D_Burgers_Sols_Nu0.001.hdf5", {}, "burgers", [0.001 / math.pi]),
        ("1D_Burgers_Sols_Nu0.001.hdf5", {"Nu": 4.0}, "burgers", [4.0 / math.pi]),
    ],
)
def test_parameters_tell_the_equation_and_attributes_win_over_the_name(
    burgers_like: Callable[..., Path], file: str, attrs: dict[str, float], equation: str, scalars: list[float]
) -> None:
    source = open_source(burgers_like(file, attrs=attrs))
    assert source.problem.equation == equation
    np.testing.assert_allclose(source.scalars, np.tile(scalars, (6, 1)), rtol=1e-15)


def test_compressible_flow(flow_file: Path, expected: Labels) -> None:
    source = open_source(flow_file)
    assert names(source) == (
        ["density", "pressure", "Vx", "Vy"],
        ["kinematic_shear_viscosity", "kinematic_bulk_viscosity", "mach"],
        [],
    )
    np.testing.assert_allclose(source.scalars, [[2e-8, 0.01, 0.1]] * 3)
    assert source.problem.grid.boundary == (Boundary.PERIODIC,) * 2
    np.testing.assert_array_equal(everything(source), expected(3, 5, 4, 8, 6).astype(np.float32))


def test_boundary_of_compressible_flow_is_not_guessed(flow_file: Path) -> None:
    renamed = flow_file.rename(flow_file.with_name("flow_M0.1_Eta1_Zeta1.hdf5"))
    with pytest.raises(ValueError, match=r"flow_M0.1_Eta1_Zeta1.hdf5: the boundary .* _periodic_ or _trans_"):
        open_source(renamed)


def test_darcy_is_stationary_guess_then_solution(darcy_file: Path, expected: Labels) -> None:
    source = open_source(darcy_file)
    assert source.problem.steady and source.n_times == 2
    assert names(source) == (["pressure"], ["forcing"], ["permeability"])
    labels = expected(8, 1, 2, 8, 6).astype(np.float32)
    for i in range(8):
        states = source.read(i, 0, 2)
        assert not states[0].any()
        np.testing.assert_array_equal(states[1], labels[i, 0, :1])
        np.testing.assert_array_equal(source.read(i, 1, 2), states[1:])
        np.testing.assert_array_equal(source.read(i, 0, 1), states[:1])
        np.testing.assert_array_equal(source.read_coefficients(i), 1 + labels[i, 0, 1:])


REACTION = {"Du": 0.001, "Dv": 0.005, "k": "5e-3"}
DAM = {"gravity": 1.0, "inner_height": 2.0}


@pytest.mark.parametrize(
    ("axes", "n_channels", "simulations", "equation", "boundary"),
    [
        ("tyx", 2, [REACTION, {**REACTION, "k": 0.006}], "diffusion_reaction", Boundary.NEUMANN),
        ("txy", 1, [{**DAM, "dam_radius": 0.3}, {**DAM, "dam_radius": 0.7}], "shallow_water", Boundary.OPEN),
        (
            "tx",
            1,
            [dict.fromkeys(("D", "por", "rho_s", "k_f", "n_f", "sol"), value) for value in (0.5, 0.25)],
            "diffusion_sorption",
            Boundary.OPEN,
        ),
    ],
)
def test_seed_groups_have_their_own_axes_and_parameters(
    seed_groups: Callable[..., Path],
    expected: Labels,
    axes: str,
    n_channels: int,
    simulations: list[dict[str, float]],
    equation: str,
    boundary: Boundary,
) -> None:
    source = open_source(seed_groups(axes, n_channels, simulations))
    shape = (8, 6)[: len(axes) - 1]
    assert (source.problem.equation, source.problem.dt, source.n_times) == (equation, 0.5, 5)
    assert source.problem.grid == Grid(
        shape=shape,
        extent=(2.0,) * len(shape),
        boundary=(boundary,) * len(shape),
        centring=Centring.CELL,
        origin=(-1.0,) * len(shape),
    )
    np.testing.assert_array_equal(everything(source), expected(2, 5, n_channels, *shape).astype(np.float32))
    for row, simulation in zip(source.scalars, simulations, strict=True):
        assert sorted(row) == sorted(map(float, simulation.values()))


def test_the_other_axis_order_is_refused(seed_groups: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"seeds.h5, dataset '0000/grid/x': 8 entries, but the axes of diffusion_rea"):
        open_source(seed_groups("txy", 2, [REACTION]))


def test_incompressible_flow_ends_at_its_last_written_frame(incompressible_file: Path, expected: Labels) -> None:
    source = open_source(incompressible_file)
    assert names(source) == (
        ["velocity_x", "velocity_y", "particles"],
        ["viscosity"],
        ["force_x", "force_y"],
    )
    assert (source.n_times, source.problem.dt, source.problem.grid.extent) == (4, 0.05, (2.0, 1.0))
    np.testing.assert_array_equal(everything(source), expected(2, 6, 3, 8, 6)[:, :4].astype(np.float32))
    force = expected(2, 1, 2, 8, 6)[:, 0].astype(np.float32)
    np.testing.assert_array_equal(source.read_coefficients(1), force[1])


def test_the_well(well_file: Path, expected: Labels) -> None:
    source = open_source(well_file, equation="mine")
    assert source.problem.equation == "mine"
    assert names(source) == (["rho", "v_x", "v_y"], ["g", "nu"], ["mask", "D_xx", "D_xy", "D_yx", "D_yy"])
    assert source.problem.grid == Grid(
        shape=(8, 6), extent=(2.0, 1.0), boundary=(Boundary.PERIODIC, Boundary.WALL), centring=Centring.CELL
    )
    np.testing.assert_allclose(source.scalars, [[9.81, 0.1], [9.81, 0.2], [9.81, 0.3]])
    np.testing.assert_array_equal(everything(source), expected(3, 5, 3, 8, 6).astype(np.float32))
    fields = source.read_coefficients(2)
    np.testing.assert_array_equal(fields[0], np.broadcast_to(np.arange(8.0)[:, None], (8, 6)))
    np.testing.assert_array_equal(fields[1:], expected(3, 1, 4, 8, 6)[2, 0].astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_read_into_is_read(request: pytest.FixtureRequest, dtype: type) -> None:
    for fixture in ("flow_file", "darcy_file", "incompressible_file", "well_file"):
        source = open_source(request.getfixturevalue(fixture))
        for start, stop in ((0, 1), (0, 2), (1, 2), (source.n_times - 2, source.n_times)):
            out = np.full((stop - start, *source.read(0, 0, 1).shape[1:]), np.nan, dtype=dtype)
            source.read_into(1, start, stop, out)
            np.testing.assert_array_equal(out, source.read(1, start, stop))


@pytest.mark.parametrize(("trajectory", "start", "stop"), [(6, 0, 1), (-1, 0, 1), (0, 0, 12), (0, 2, 2), (0, -1, 1)])
def test_reading_outside_is_refused(burgers_like: Callable[..., Path], trajectory: int, start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="a.hdf5: .* asked for"):
        open_source(burgers_like()).read(trajectory, start, stop)


def test_unknown_layout_is_told_what_is_known(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file["stuff"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"odd.h5: layout not recognised; its root holds \[stuff\].*own_data.md"):
        open_source(tmp_path / "odd.h5")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(ValueError, match="text.h5: not an HDF5 file"):
        open_source(tmp_path / "text.h5")
    with pytest.raises(FileNotFoundError, match="absent.h5"):
        open_source(tmp_path / "absent.h5")


def test_inconsistent_files_name_file_dataset_and_shapes(burgers_like: Callable[..., Path]) -> None:
    path = burgers_like()
    with h5py.File(path, "a") as file:
        del file["t-coordinate"]
        file["t-coordinate"] = np.arange(14.0)
    with pytest.raises(ValueError, match=r"a.hdf5, dataset 't-coordinate': 14 times for 11 frames"):
        open_source(path)
    with pytest.raises(ValueError, match=r"neither attributes nor file name give beta"):
        open_source(burgers_like("b.hdf5", attrs={}))


def test_uneven_coordinates_are_refused() -> None:
    with pytest.raises(ValueError, match=r"f.h5, dataset 't': coordinates must increase in equal steps"):
        spacing(np.array([0.0, 0.1, 0.3]), path=Path("f.h5"), dataset="t")


@pytest.mark.parametrize("grid", [
    Grid(shape=(12,), extent=(2.0,), boundary=(b,), centring=c, origin=(o,))
    for b in (Boundary.PERIODIC, Boundary.WALL)
    for c, o in ((Centring.CELL, 0.0), (Centring.CELL, -1.0), (Centring.NODE, 0.0))
])  # fmt: skip
def test_grids_survive_their_float32_coordinates(grid: Grid) -> None:
    (x,) = grid.coordinates()
    found = inferred((x.numpy().astype(np.float32),), grid.boundary, path=Path("f.h5"), datasets=("x",))
    assert found == grid
