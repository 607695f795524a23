"""Where data come from and how wrong they are: no file is written without saying it."""

import json
import math
from dataclasses import dataclass
from typing import Any

from duhamel.fields import Problem
from duhamel.version import __version__


@dataclass(frozen=True, kw_only=True)
class ErrorEstimate:
    """Estimated numerical error of stored trajectories: relative L2 over times, channels and space, per trajectory.

    mean, maximum: over the `n_samples` trajectories on which it was measured.
    method: how it was measured, in words.
    """

    mean: float
    maximum: float
    n_samples: int
    method: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.maximum) and 0 <= self.mean <= self.maximum):
            raise ValueError(f"an error estimate needs finite 0 <= mean <= maximum, got {self.mean}, {self.maximum}")
        if self.n_samples < 1 or not self.method:
            raise ValueError(
                f"an error estimate needs a method and at least one sample, got {self.method!r}, {self.n_samples}"
            )


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Of trajectories that a reference solver of this package made.

    solver: its name; dtype: that it computed in; n: points per axis of the grid it solved on.
    substeps: solver steps per stored step `problem.dt`; 0 for a stationary problem.
    warmup: steps `problem.dt` that were solved before the first state of a trajectory and not stored.
    seed: trajectory i is drawn from generator (seed, i).
    command: the command line that made the file.
    """

    problem: Problem
    solver: str
    dtype: str
    n: tuple[int, ...]
    substeps: int
    estimated_error: ErrorEstimate
    seed: int
    command: str
    warmup: int = 0
    version: str = __version__

    def __post_init__(self) -> None:
        missing = [name for name in ("solver", "dtype", "n", "command", "version") if not getattr(self, name)]
        if not self.problem.equation:
            missing.append("problem.equation")
        if not isinstance(self.estimated_error, ErrorEstimate):
            missing.append("estimated_error")
        if missing:
            raise ValueError(f"provenance is incomplete: {', '.join(missing)} missing")

    def to_dict(self) -> dict[str, Any]:
        """Plain entries for the file's root attribute `provenance`."""
        return {
            "kind": "solved",
            "equation": self.problem.equation,
            "solver": self.solver,
            "version": self.version,
            "dtype": self.dtype,
            "n": list(self.n),
            "dt": self.problem.dt,
            "substeps": self.substeps,
            "warmup": self.warmup,
            "estimated_error": {
                "mean": self.estimated_error.mean,
                "max": self.estimated_error.maximum,
                "n_samples": self.estimated_error.n_samples,
                "method": self.estimated_error.method,
            },
            "seed": self.seed,
            "command": self.command,
            "problem": self.problem.to_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class ForeignProvenance:
    """Of trajectories that somebody else made and this package converted: their error was not measured here.

    source: name of the converted file; sha256: of its bytes.
    conversion: what was done to it, in words; command: the command line that did it.
    error_statement: what is known about the error of the data, in words ("not stated" is a statement, "" is not).
    """

    problem: Problem
    source: str
    sha256: str
    conversion: str
    error_statement: str
    command: str
    version: str = __version__

    def __post_init__(self) -> None:
        names = ("source", "sha256", "conversion", "error_statement", "command", "version")
        missing = [name for name in names if not getattr(self, name)]
        if missing:
            raise ValueError(f"provenance is incomplete: {', '.join(missing)} missing")

    def to_dict(self) -> dict[str, Any]:
        """Plain entries for the file's root attribute `provenance`; `estimated_error` is null, never absent."""
        return {
            "kind": "converted",
            "equation": self.problem.equation,
            "source": self.source,
            "sha256": self.sha256,
            "conversion": self.conversion,
            "error_statement": self.error_statement,
            "estimated_error": None,
            "version": self.version,
            "command": self.command,
            "problem": self.problem.to_dict(),
        }


def provenance_json(provenance: Provenance | ForeignProvenance) -> str:
    """The root attribute; strict JSON (no NaN, no infinity), so that every language reads it."""
    if not isinstance(provenance, Provenance | ForeignProvenance):
        raise ValueError(
            f"data are written with a Provenance or a ForeignProvenance only, got {type(provenance).__name__}"
        )
    return json.dumps(provenance.to_dict(), allow_nan=False)
