"""Files of bare arrays from published families: recognised by their content, described from their documentation."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from duhamel.datasets.array_files import SOLE, Array
from duhamel.datasets.described import DescribedSource, Description, Named
from duhamel.fields import Boundary, Centring

# neuraloperator's Darcy data are every (421 // s)-th point of solutions on 421 x 421 points of the unit square.
DARCY_POINTS = 421


def neuraloperator_darcy(
    path: Path, arrays: Mapping[str, Array], *, boolean_values: tuple[float, float]
) -> tuple[DescribedSource, str] | None:
    """Kossaifi et al., neuraloperator: permeability x, two-valued and stored as booleans, and pressure y.

    Samples lie at i (421 // s) / 420, the first row and column on the boundary where the pressure is 0, the last
    before the opposite one: the domain of the stored grid is a corner of the unit square that depends on s, its
    spacing is the honest one. The files do not say which permeabilities False and True stand for. The Laplacian of
    the pressure away from interfaces is -51.0 where False and -2.83 where True (both resolutions, within 1 %), so
    1 / 51.0 and 1 / 2.83 belong to a unit source; without `boolean_values` 0 and 1 are stored.
    """
    if set(arrays) != {"x", "y"}:
        return None
    x, y = arrays["x"], arrays["y"]
    square = len(x.shape) == 3 and x.shape == y.shape and x.shape[1] == x.shape[2]
    if not (square and x.dtype == np.bool_ and y.dtype == np.float32 and 2 <= x.shape[1] <= DARCY_POINTS):
        return None
    side = (x.shape[1] - 1) * (DARCY_POINTS // x.shape[1]) / (DARCY_POINTS - 1)
    description = Description(
        channels=(Named.parse("pressure=y:bxy"),),
        coefficients=(Named.parse("permeability=x:bxy"),),
        boundary=(Boundary.DIRICHLET, Boundary.DIRICHLET),
        centring=Centring.NODE,
        extent=(side, side),
        steady=True,
        boolean_values=boolean_values,
    )
    no, yes = boolean_values
    return DescribedSource(
        path, arrays, description
    ), f"neuraloperator Darcy; permeability False -> {no}, True -> {yes}"


def apebench(
    path: Path, arrays: Mapping[str, Array], *, boolean_values: tuple[float, float]
) -> tuple[DescribedSource, str] | None:
    """Koehler et al. (2024), APEBench: one array (sample, time, component, space) and a JSON file beside it.

    The unit torus, left ends included. Coefficients are those of the normalised equation, whose time step is 1.
    """
    sidecar = path.with_name(path.stem.removesuffix("_train").removesuffix("_test") + ".json")
    if set(arrays) != {SOLE} or not sidecar.is_file() or sidecar.stem == path.stem:
        return None
    info = json.loads(sidecar.read_text()).get("info", {})
    if not {"num_spatial_dims", "num_points", "num_channels"} <= set(info):
        return None
    ndim, n, n_channels = info["num_spatial_dims"], info["num_points"], info["num_channels"]
    shape = tuple(arrays[SOLE].shape)
    if shape[2:] != (n_channels, *(n,) * ndim):
        raise ValueError(
            f"{path}: shape {shape} does not fit {sidecar.name}, which says {n_channels} channels on {n} points an axis"
        )
    names = ",".join(f"u{i}" for i in range(n_channels)) if n_channels > 1 else "u"
    description = Description(
        channels=(Named.parse(f"{names}={SOLE}:btc{'xyz'[:ndim]}"),),
        boundary=(Boundary.PERIODIC,) * ndim,
        centring=Centring.NODE,
        extent=(1.0,) * ndim,
        dt=1.0,
    )
    return DescribedSource(path, arrays, description), f"APEBench, described by {sidecar.name}; time in steps"


PUBLISHED = (neuraloperator_darcy, apebench)
