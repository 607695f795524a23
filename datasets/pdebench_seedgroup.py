"""PDEBench, second family: one group a seed, whose configuration is a YAML text in an attribute.

The order of axes differs between data sets: diffusion-reaction stores (t, y, x, channel), the dam break (t, x, y,
channel). The published arrays are square, so that nothing but this declaration tells.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from duhamel.datasets.arrays import COMPONENT, TIME, ArraySource, Variable
from duhamel.datasets.coordinates import cell_centred, time_step
from duhamel.fields import Boundary, Problem, Quantity

# libyaml where it was built in: 10000 configurations take seconds instead of minutes.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class _Kind:
    """What the files of one equation hold. scalars: keys of the configuration's block `sim`."""

    equation: str
    axes: tuple[str, ...]
    channels: tuple[Quantity, ...]
    scalars: dict[str, Quantity]
    boundary: Boundary


KINDS = (
    _Kind(
        "diffusion_sorption",
        (TIME, "x", COMPONENT),
        (Quantity("u", minimum=0.0),),
        {
            "D": Quantity("diffusivity", minimum=0.0),
            "por": Quantity("porosity", minimum=0.0, maximum=1.0),
            "rho_s": Quantity("bulk_density", minimum=0.0),
            "k_f": Quantity("freundlich_coefficient", minimum=0.0),
            "n_f": Quantity("freundlich_exponent", minimum=0.0),
            "sol": Quantity("boundary_value", minimum=0.0),
        },
        Boundary.OPEN,  # u given on the left, u = D u_x on the right: neither kind holds at both ends
    ),
    _Kind(
        "diffusion_reaction",
        (TIME, "y", "x", COMPONENT),
        (Quantity("u"), Quantity("v")),
        {
            "Du": Quantity("diffusivity_u", minimum=0.0),
            "Dv": Quantity("diffusivity_v", minimum=0.0),
            "k": Quantity("k"),
        },
        Boundary.NEUMANN,
    ),
    _Kind(
        "shallow_water",
        (TIME, "x", "y", COMPONENT),
        (Quantity("height", minimum=0.0),),
        {
            "gravity": Quantity("gravity", minimum=0.0),
            "dam_radius": Quantity("dam_radius", minimum=0.0),
            "inner_height": Quantity("inner_height", minimum=0.0),
        },
        Boundary.OPEN,
    ),
)


def recognises(file: h5py.File) -> bool:
    first = next(iter(file), "")
    return first.isdigit() and f"{first}/data" in file and f"{first}/grid/x" in file


def open_pdebench_seedgroup(file: h5py.File, path: Path) -> ArraySource:
    """The source in a file of this family; number of dimensions and channels tell the equation."""
    groups = tuple(sorted(file))
    first = file[groups[0]]
    stored, coordinates = first["data"].shape, first["grid"]
    present = {axis for axis in ("x", "y", "z") if axis in coordinates}
    fitting = [
        kind
        for kind in KINDS
        if len(kind.axes) == len(stored)
        and len(kind.channels) == stored[-1]
        and present == {a for a in kind.axes if a in ("x", "y", "z")}
    ]
    if not fitting:
        raise ValueError(
            f"{path}, dataset '{groups[0]}/data': shape {stored} over {sorted(present)} is none of "
            + "; ".join(f"{k.equation} ({', '.join(k.axes)}) of {len(k.channels)} channels" for k in KINDS)
        )
    (kind,) = fitting
    space = tuple(sorted(present))
    lengths = dict(zip(kind.axes, stored, strict=True))
    for axis, key in ((TIME, "t"), *((a, a) for a in space)):
        if coordinates[key].shape != (lengths[axis],):
            raise ValueError(
                f"{path}, dataset '{groups[0]}/grid/{key}': {coordinates[key].shape[0]} entries, but the axes of "
                f"{kind.equation} are {kind.axes} and its data have shape {stored}"
            )
    boundary = (kind.boundary,) * len(space)
    names = tuple(f"{groups[0]}/grid/{axis}" for axis in space)
    grid = cell_centred(tuple(coordinates[axis][...] for axis in space), boundary, path=path, datasets=names)
    simulations = [_simulation(file[group]) for group in groups]
    configured = any(simulations)
    return ArraySource(
        path=path,
        problem=Problem(
            equation=kind.equation,
            channels=kind.channels,
            scalars=tuple(kind.scalars.values()) if configured else (),
            coefficients=(),
            grid=grid,
            dt=time_step(coordinates["t"][...], path=path, dataset=f"{groups[0]}/grid/t"),
        ),
        n_trajectories=len(groups),
        n_times=stored[0],
        scalars=_scalars(path, groups, simulations, tuple(kind.scalars) if configured else ()),
        space=space,
        states=(Variable("{trajectory}/data", kind.axes, len(kind.channels)),),
        groups=groups,
    )


def _simulation(group: h5py.Group) -> dict[str, Any]:
    """Block `sim` of the group's configuration; the rest (plots, authors) is most of the text and not needed."""
    block = re.search(r"^sim:\n(?:[ \t]+.*\n?)*", str(group.attrs.get("config", "")), flags=re.MULTILINE)
    return dict(yaml.load(block.group(), Loader=LOADER)["sim"]) if block else {}


def _scalars(
    path: Path, groups: tuple[str, ...], simulations: list[dict[str, Any]], keys: tuple[str, ...]
) -> np.ndarray:
    rows = np.empty((len(groups), len(keys)), dtype=np.float64)
    for row, group, simulation in zip(rows, groups, simulations, strict=True):
        missing = [key for key in keys if key not in simulation]
        if missing:
            raise ValueError(f"{path}, attribute 'config' of group {group!r}: sim has no {missing}")
        row[:] = [float(simulation[key]) for key in keys]
    return rows
