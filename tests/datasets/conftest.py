"""Small files in the published layouts, whose every value tells where it belongs."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from duhamel.datasets import handles

SIMULATION = """data_dir: data
name: {name}
sim:
{entries}
plot:
  t_idx: 1.0
  sim: nothing
"""


@pytest.fixture(autouse=True)
def no_handles_left() -> None:
    handles.close_all()


def label(sample: int, time: int, channel: int, *index: np.ndarray) -> np.ndarray:
    """A value that names its own place: digits of sample, time, channel, then of the spatial indices."""
    value = sample * 1e6 + time * 1e4 + channel * 1e3
    return value + sum(i * 32.0**-k for k, i in enumerate(index))


def labels(n_samples: int, n_times: int, n_channels: int, *shape: int) -> np.ndarray:
    """Array (sample, time, channel, *space) of labels."""
    index = np.indices((n_samples, n_times, n_channels, *shape)).astype(float)
    return label(index[0], index[1], index[2], *index[3:])


def centres(n: int, left: float = 0.0, right: float = 1.0) -> np.ndarray:
    return (left + (right - left) / n * (np.arange(n) + 0.5)).astype(np.float32)


@pytest.fixture
def expected() -> Callable[..., np.ndarray]:
    return labels


@pytest.fixture
def burgers_like(tmp_path: Path) -> Callable[..., Path]:
    """PDEBench's one-dimensional array files: `tensor` and one time too many."""

    def write(
        name: str = "a.hdf5",
        *,
        attrs: dict[str, float] | None = None,
        n_samples: int = 6,
        n_times: int = 11,
        n: int = 16,
        dt: float = 0.01,
        domain: tuple[float, float] = (0.0, 1.0),
        values: np.ndarray | None = None,
    ) -> Path:
        with h5py.File(tmp_path / name, "w") as file:
            values = labels(n_samples, n_times, 1, n)[:, :, 0] if values is None else values
            file["tensor"] = values.astype(np.float32)
            file["x-coordinate"] = centres(n, *domain)
            file["t-coordinate"] = (dt * np.arange(n_times + 1)).astype(np.float32)
            file.attrs.update({"Nu": 0.1} if attrs is None else attrs)
        return tmp_path / name

    return write


@pytest.fixture
def flow_file(tmp_path: Path) -> Path:
    """PDEBench's compressible flow in two dimensions, not square."""
    path = tmp_path / "2D_CFD_Rand_M0.1_Eta1e-08_Zeta0.01_periodic_128_Train.hdf5"
    u = labels(3, 5, 4, 8, 6).astype(np.float32)
    with h5py.File(path, "w") as file:
        for i, key in enumerate(("density", "pressure", "Vx", "Vy")):
            file[key] = u[:, :, i]
        file["x-coordinate"], file["y-coordinate"] = centres(8), centres(6)
        file["t-coordinate"] = (0.05 * np.arange(6)).astype(np.float32)
        file.attrs["eta"] = 2e-08  # attributes win over the name
    return path


@pytest.fixture
def darcy_file(tmp_path: Path) -> Path:
    path = tmp_path / "darcy.hdf5"
    u = labels(8, 1, 2, 8, 6).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["tensor"], file["nu"] = u[:, :, 0], 1 + u[:, 0, 1]
        file["x-coordinate"], file["y-coordinate"] = centres(8), centres(6)
        file.attrs["beta"] = 2.0
    return path


@pytest.fixture
def seed_groups(tmp_path: Path) -> Callable[..., Path]:
    """PDEBench's files of one group a seed. axes: order on disk, of t, x, y; x has 8 points, y has 6."""

    def write(axes: str, n_channels: int, simulations: list[dict[str, float]]) -> Path:
        path = tmp_path / "seeds.h5"
        lengths = {"t": 5, "x": 8, "y": 6}
        space = sorted(set(axes) - {"t"})
        u = labels(len(simulations), 5, n_channels, *(lengths[a] for a in space)).astype(np.float32)
        with h5py.File(path, "w") as file:
            for seed, simulation in enumerate(simulations):
                group = file.create_group(f"{seed:04d}")
                stored = ["t", "v", *space]
                group.create_dataset(
                    "data", data=u[seed].transpose([stored.index(a) for a in (*axes, "v")]), compression="lzf"
                )
                for axis in space:
                    group[f"grid/{axis}"] = centres(lengths[axis], -1, 1)
                group["grid/t"] = (0.5 * np.arange(5)).astype(np.float32)
                entries = "\n".join(f"  {key}: {value}" for key, value in simulation.items())
                group.attrs["config"] = SIMULATION.format(name="x", entries=entries)
        return path

    return write


@pytest.fixture
def incompressible_file(tmp_path: Path) -> Path:
    """PDEBench's incompressible flow, broken off after frame 3 of 6."""
    path = tmp_path / "ns.h5"
    u, force = labels(2, 6, 3, 8, 6).astype(np.float32), labels(2, 1, 2, 8, 6).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["velocity"] = np.moveaxis(u[:, :, :2], 2, -1)
        file["particles"] = np.moveaxis(u[:, :, 2:], 2, -1)
        file["force"] = np.moveaxis(force[:, 0], 1, -1)
        file["t"] = np.tile((0.05 * np.arange(6) * (np.arange(6) < 4)).astype(np.float32), (2, 1))
        file.attrs["config"] = "domain_size:\n- 2\n- 1\nNU: 0.01\n"
        file.attrs["latestIndex"] = 3
    return path


@pytest.fixture
def well_file(tmp_path: Path) -> Path:
    """The Well's layout: a vector and a scalar that evolve, a mask constant along y, a matrix that does not evolve."""
    path = tmp_path / "well.hdf5"
    flags = {"sample_varying": True, "time_varying": True, "dim_varying": [True, True]}
    u = labels(3, 5, 3, 8, 6).astype(np.float32)
    with h5py.File(path, "w") as file:
        file.attrs.update(dataset_name="w", grid_type="cartesian", n_spatial_dims=2, n_trajectories=3)
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = ["x", "y"]
        dimensions["x"], dimensions["y"] = centres(8, 0, 2), centres(6)
        dimensions["time"] = (0.25 * np.arange(5)).astype(np.float32)
        for name, dims, kind in (("x_periodic", "x", "PERIODIC"), ("y_wall", ["y"], "wall")):
            group = file.create_group(f"boundary_conditions/{name}")
            group.attrs.update(associated_dims=dims, bc_type=kind)
        scalars = file.create_group("scalars")
        scalars.attrs["field_names"] = ["g", "nu"]
        scalars["g"], scalars["nu"] = 9.81, np.array([0.1, 0.2, 0.3])
        for order, names in enumerate((["mask", "rho"], ["v"], ["D"])):
            file.create_group(f"t{order}_fields").attrs["field_names"] = names
        file["t0_fields/rho"], file["t1_fields/v"] = u[:, :, 0], np.moveaxis(u[:, :, 1:], 2, -1)
        file["t0_fields/mask"] = np.arange(8, dtype=np.float32)
        file["t2_fields/D"] = np.moveaxis(labels(3, 1, 4, 8, 6)[:, 0].astype(np.float32), 1, -1).reshape(3, 8, 6, 2, 2)
        file["t0_fields/rho"].attrs.update(flags)
        file["t1_fields/v"].attrs.update(flags)
        file["t0_fields/mask"].attrs.update(sample_varying=False, time_varying=False, dim_varying=[True, False])
        file["t2_fields/D"].attrs.update({**flags, "time_varying": False})
    return path
