"""PDEBench, first family: one big array a variable, the sample axis first, parameters of the whole file in attributes.

Trajectories evolve on cell centres, array axis i being coordinate i. `t-coordinate` has one entry more than there are
frames. Advection, Burgers, reaction-diffusion, compressible Navier-Stokes and Darcy flow.

Source: Takamoto et al. (2022), PDEBench, NeurIPS Datasets and Benchmarks; doi:10.18419/darus-2986.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from duhamel.datasets.arrays import COMPONENT, SAMPLE, TIME, ArraySource, Variable
from duhamel.datasets.coordinates import cell_centred, time_step
from duhamel.fields import Boundary, Problem, Quantity
from duhamel.pdes import Advection, Burgers, Darcy

FLOW = ("density", "pressure", "Vx", "Vy", "Vz")
AXES = ("x", "y", "z")


@dataclass(frozen=True)
class _Scalar:
    """A parameter: its quantity, the attribute that holds it, and what the attribute must be multiplied by."""

    quantity: Quantity
    attribute: str
    factor: float = 1.0


# Of what `tensor` holds.
CHANNELS = {"advection": Advection.channels, "burgers": Burgers.channels, "reaction_diffusion": (Quantity("u"),)}
# Burgers' attribute Nu is not the viscosity: the files solve u_t + (u^2/2)_x = (Nu/pi) u_xx.
SCALARS = {
    "advection": (_Scalar(Advection.scalars[0], "beta"),),
    "burgers": (_Scalar(Burgers.scalars[0], "Nu", 1 / math.pi),),
    "reaction_diffusion": (
        _Scalar(Quantity("diffusivity", minimum=0.0), "Nu"),
        _Scalar(Quantity("reaction_rate", minimum=0.0), "rho"),
    ),
    "darcy": (_Scalar(Quantity("forcing"), "beta"),),
    # Kinematic: multiplied by the density. Without that the first step of the plane files is more than three times as
    # far from ours (tests/verification/test_others_solutions.py).
    "compressible_navier_stokes": (
        _Scalar(Quantity("kinematic_shear_viscosity", minimum=0.0), "eta"),
        _Scalar(Quantity("kinematic_bulk_viscosity", minimum=0.0), "zeta"),
        _Scalar(Quantity("mach", minimum=0.0), "M"),
    ),
}


def recognises(file: h5py.File) -> bool:
    return "x-coordinate" in file and ("tensor" in file or "density" in file)


def open_pdebench_array(file: h5py.File, path: Path) -> ArraySource:
    """The source in a file of this family; the equation follows from keys and parameters."""
    parameters = {**_named_in(path.name), **{k.lower(): float(v) for k, v in file.attrs.items() if np.ndim(v) == 0}}
    if "nu" in file:
        return _darcy(file, path, parameters)
    if "density" in file:
        equation, keys = "compressible_navier_stokes", tuple(key for key in FLOW if key in file)
        channels = tuple(Quantity(k, minimum=0.0) if k in FLOW[:2] else Quantity(k) for k in keys)
    else:
        equation, keys = _scalar_equation(path, parameters), ("tensor",)
        channels = CHANNELS[equation]
    ndim = file[keys[0]].ndim - 2
    space = AXES[:ndim]
    wanted = SCALARS[equation]
    if equation == "compressible_navier_stokes" and ndim == 1:
        wanted = wanted[:2]  # one-dimensional files have no Mach number
    n_samples, n_times, *shape = file[keys[0]].shape
    for key in keys:
        if file[key].shape != (n_samples, n_times, *shape):
            raise ValueError(f"{path}, dataset {key!r}: shape {file[key].shape}, {keys[0]!r} has {file[keys[0]].shape}")
    boundary = _flow_boundary(path) if equation == "compressible_navier_stokes" else Boundary.PERIODIC
    return ArraySource(
        path=path,
        problem=Problem(
            equation=equation,
            channels=channels,
            scalars=tuple(s.quantity for s in wanted),
            coefficients=(),
            grid=cell_centred(
                _coordinates(file, path, tuple(shape)),
                (boundary,) * ndim,
                path=path,
                datasets=tuple(f"{axis}-coordinate" for axis in space),
            ),
            dt=_dt(file, path, n_times),
        ),
        n_trajectories=n_samples,
        n_times=n_times,
        scalars=_scalars(path, wanted, parameters, n_samples),
        space=space,
        states=tuple(Variable(key, (SAMPLE, TIME, *space)) for key in keys),
    )


def _darcy(file: h5py.File, path: Path, parameters: dict[str, float]) -> ArraySource:
    """Coefficient `nu`, solution `tensor`, -div(nu grad u) = beta with u = 0 outside; no time.

    The published labels vanish in the centres of ghost cells, half a cell outside the domain, and come from a march in
    time that was stopped: the residual of `duhamel.pdes.Darcy` does not vanish on them.
    """
    space, nu, tensor = AXES[: file["nu"].ndim - 1], file["nu"].shape, file["tensor"].shape
    if tensor != (nu[0], 1, *nu[1:]):
        raise ValueError(f"{path}, dataset 'tensor': shape {tensor}, expected {(nu[0], 1, *nu[1:])} as 'nu' has {nu}")
    grid = cell_centred(
        _coordinates(file, path, nu[1:]),
        (Boundary.DIRICHLET,) * len(space),
        path=path,
        datasets=tuple(f"{axis}-coordinate" for axis in space),
    )
    return ArraySource(
        path=path,
        problem=Problem(
            equation="darcy",
            channels=Darcy.channels,
            scalars=tuple(s.quantity for s in SCALARS["darcy"]),
            coefficients=Darcy.coefficients,
            grid=grid,
            dt=0.0,
        ),
        n_trajectories=nu[0],
        n_times=2,
        scalars=_scalars(path, SCALARS["darcy"], parameters, nu[0]),
        space=space,
        states=(Variable("tensor", (SAMPLE, COMPONENT, *space)),),
        coefficients=(Variable("nu", (SAMPLE, *space)),),
    )


def _named_in(name: str) -> dict[str, float]:
    """Parameters in a file name such as 2D_CFD_Rand_M0.1_Eta1e-08_Zeta1e-08_periodic_128_Train.hdf5.

    >>> _named_in("1D_CFD_Rand_Eta1.e-8_Zeta1.e-8_trans_Train.hdf5")
    {'eta': 1e-08, 'zeta': 1e-08}
    """
    number = r"(\d+\.?\d*(?:[eE][-+]?\d+)?)"
    found = re.findall(rf"(?:^|_)(beta|nu|rho|eta|zeta|m){number}(?=_|\.h|$)", name, flags=re.IGNORECASE)
    return {key.lower(): float(value) for key, value in found}


def _scalar_equation(path: Path, parameters: dict[str, float]) -> str:
    """Which equation a file with the single array `tensor` holds: its parameters tell."""
    if "rho" in parameters:
        return "reaction_diffusion"
    if "nu" in parameters:
        return "burgers"
    if "beta" in parameters:
        return "advection"
    raise ValueError(
        f"{path}: neither attributes nor file name give beta (advection), Nu (Burgers) or Nu and rho "
        f"(reaction-diffusion), found {parameters}; describe the file by a mapping (docs/own_data.md)"
    )


def _scalars(path: Path, wanted: tuple[_Scalar, ...], parameters: dict[str, float], n_samples: int) -> np.ndarray:
    missing = [s.attribute for s in wanted if s.attribute.lower() not in parameters]
    if missing:
        raise ValueError(f"{path}: parameters {missing} stand neither in root attributes nor in the file name")
    row = [parameters[s.attribute.lower()] * s.factor for s in wanted]
    return np.tile(np.array(row, dtype=np.float64), (n_samples, 1))


def _flow_boundary(path: Path) -> Boundary:
    # Only the file name says it.
    found = [b for word, b in (("periodic", Boundary.PERIODIC), ("trans", Boundary.OPEN)) if f"_{word}_" in path.name]
    if len(found) != 1:
        raise ValueError(
            f"{path}: the boundary of compressible flow stands in the file name only, as _periodic_ or _trans_; "
            "rename the file or describe it by a mapping (docs/own_data.md)"
        )
    return found[0]


def _coordinates(file: h5py.File, path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    axes = []
    for axis, n in zip(AXES, shape, strict=False):
        name = f"{axis}-coordinate"
        if name not in file:
            raise ValueError(f"{path}: dataset {name!r} is absent, the arrays have {len(shape)} spatial axes")
        if file[name].shape != (n,):
            raise ValueError(f"{path}, dataset {name!r}: shape {file[name].shape}, the arrays have {n} points")
        axes.append(file[name][...])
    return tuple(axes)


def _dt(file: h5py.File, path: Path, n_times: int) -> float:
    if "t-coordinate" not in file:
        raise ValueError(f"{path}: dataset 't-coordinate' is absent, arrays hold {n_times} frames")
    length = len(file["t-coordinate"])
    if length not in (n_times, n_times + 1):
        raise ValueError(f"{path}, dataset 't-coordinate': {length} times for {n_times} frames, expected one more")
    return time_step(file["t-coordinate"][:n_times], path=path, dataset="t-coordinate")
