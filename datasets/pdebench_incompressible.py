"""PDEBench, incompressible inhomogeneous Navier-Stokes: velocity and a passive density, driven by a constant force."""

from pathlib import Path

import h5py
import numpy as np
import yaml

from duhamel.datasets.arrays import COMPONENT, SAMPLE, TIME, ArraySource, Variable
from duhamel.datasets.coordinates import time_step
from duhamel.fields import Boundary, Centring, Grid, Problem, Quantity

SPACE = ("x", "y")


def recognises(file: h5py.File) -> bool:
    return all(key in file for key in ("velocity", "particles", "force", "t"))


def open_pdebench_incompressible(file: h5py.File, path: Path) -> ArraySource:
    """The source in such a file. Frames after the attribute `latestIndex` were never written and are left out."""
    if "config" not in file.attrs:
        raise ValueError(f"{path}: root attribute 'config' is absent; it alone gives domain and viscosity")
    config = yaml.safe_load(str(file.attrs["config"]))
    missing = [key for key in ("domain_size", "NU") if key not in config]
    if missing:
        raise ValueError(f"{path}, root attribute 'config': {missing} absent")
    n_samples, n_frames, *shape, n_components = file["velocity"].shape
    n_times = min(n_frames, int(file.attrs.get("latestIndex", n_frames - 1)) + 1)
    for key, expected in (
        ("velocity", (n_samples, n_frames, *shape, 2)),
        ("particles", (n_samples, n_frames, *shape, 1)),
        ("force", (n_samples, *shape, 2)),
        ("t", (n_samples, n_frames)),
    ):
        if file[key].shape != expected or len(shape) != 2:
            raise ValueError(f"{path}, dataset {key!r}: shape {file[key].shape}, expected {expected}")
    vector = {name: tuple(Quantity(f"{name}_{axis}") for axis in SPACE) for name in ("velocity", "force")}
    return ArraySource(
        path=path,
        problem=Problem(
            equation="incompressible_navier_stokes",
            channels=(*vector["velocity"], Quantity("particles")),
            scalars=(Quantity("viscosity", minimum=0.0),),
            coefficients=vector["force"],
            grid=Grid(
                shape=tuple(shape),
                extent=tuple(float(side) for side in config["domain_size"]),
                boundary=(Boundary.WALL,) * len(shape),
                centring=Centring.CELL,
            ),
            dt=time_step(file["t"][:, :n_times], path=path, dataset="t"),
        ),
        n_trajectories=n_samples,
        n_times=n_times,
        scalars=np.full((n_samples, 1), float(config["NU"])),
        space=SPACE,
        states=(
            Variable("velocity", (SAMPLE, TIME, *SPACE, COMPONENT), n_components),
            Variable("particles", (SAMPLE, TIME, *SPACE, COMPONENT)),
        ),
        coefficients=(Variable("force", (SAMPLE, *SPACE, COMPONENT), 2),),
    )
