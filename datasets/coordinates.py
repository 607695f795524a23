"""From stored coordinate arrays (often float32) to grids and time steps."""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from duhamel.fields import Boundary, Centring, Grid

# Coordinates are stored in float32: spacings vary by this much of the largest coordinate, and no more.
ROUNDING = 4 * float(np.finfo(np.float32).eps)


def spacing(values: Shaped[np.ndarray, " n"], *, path: Path, dataset: str) -> float:
    """The one distance between neighbours; ValueError where there is no such thing.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> spacing(np.array([0.0, 0.1, 0.2, 0.3], dtype=np.float32), path=Path("file.h5"), dataset="t")
    0.1
    """
    x = values.astype(np.float64)
    if x.ndim != 1 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"{path}, dataset {dataset!r}: expected at least 2 finite coordinates, got shape {x.shape}")
    h = float(x[-1] - x[0]) / (len(x) - 1)
    scale = float(np.abs(x).max())
    deviation = float(np.abs(np.diff(x) - h).max())
    # 1e-3 of a spacing: accumulated sums of dt in float32 drift that far over hundreds of steps.
    if not h > 0 or deviation > max(1e-3 * h, ROUNDING * scale):
        raise ValueError(
            f"{path}, dataset {dataset!r}: coordinates must increase in equal steps; the mean step is {h:.6g}, "
            f"single ones are off by up to {deviation:.3g}"
        )
    return snapped(h, tolerance=ROUNDING * scale / (len(x) - 1))


def snapped(value: float, *, tolerance: float) -> float:
    """The shortest decimal within `tolerance` of a value that went through float32; the value where there is none."""
    for digits in range(1, 7):
        candidate = float(f"{value:.{digits}g}")
        if abs(candidate - value) <= tolerance:
            return candidate
    return value


def cell_centred(
    axes: tuple[Shaped[np.ndarray, " _"], ...],
    boundary: tuple[Boundary, ...],
    *,
    path: Path,
    datasets: tuple[str, ...],
) -> Grid:
    """The grid whose cells have these centres."""
    return _grid(axes, boundary, Centring.CELL, path=path, datasets=datasets)


def inferred(
    axes: tuple[Shaped[np.ndarray, " _"], ...],
    boundary: tuple[Boundary, ...],
    *,
    path: Path,
    datasets: tuple[str, ...],
) -> Grid:
    """The grid of these coordinates, for formats that do not say whether they are cells or nodes.

    Cells where every axis starts at an odd multiple of half its spacing (a domain of whole cells that starts at zero,
    or is symmetric about it), else nodes. Samples keep their coordinates either way; only the ends of the domain
    depend on it.
    """
    halves = [float(x[0]) / spacing(x, path=path, dataset=name) % 1 for x, name in zip(axes, datasets, strict=True)]
    centring = Centring.CELL if all(abs(half - 0.5) < 1e-2 for half in halves) else Centring.NODE
    return _grid(axes, boundary, centring, path=path, datasets=datasets)


def _grid(
    axes: tuple[Shaped[np.ndarray, " _"], ...],
    boundary: tuple[Boundary, ...],
    centring: Centring,
    *,
    path: Path,
    datasets: tuple[str, ...],
) -> Grid:
    extents, origins = [], []
    for x, kind, name in zip(axes, boundary, datasets, strict=True):
        h = spacing(x, path=path, dataset=name)
        cells = len(x) if kind is Boundary.PERIODIC or centring is Centring.CELL else len(x) - 1
        left = float(x[0]) - (h / 2 if centring is Centring.CELL else 0.0)
        tolerance = ROUNDING * max(float(np.abs(x).max()), h)
        extents.append(snapped(cells * h, tolerance=tolerance))
        origins.append(0.0 if abs(left) <= tolerance else snapped(left, tolerance=tolerance))
    return Grid(
        shape=tuple(len(x) for x in axes),
        extent=tuple(extents),
        boundary=boundary,
        centring=centring,
        origin=tuple(origins),
    )


def time_step(times: Shaped[np.ndarray, "*sample time"], *, path: Path, dataset: str) -> float:
    """dt of one row of times, or of rows that must agree."""
    rows = times.reshape(-1, times.shape[-1])
    steps = [spacing(row, path=path, dataset=dataset) for row in np.unique(rows, axis=0)]
    if not math.isclose(min(steps), max(steps), rel_tol=1e-5):
        raise ValueError(
            f"{path}, dataset {dataset!r}: time steps differ between samples, {min(steps)} to {max(steps)}"
        )
    return steps[0]
