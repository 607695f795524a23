"""One pass over a file, a trajectory in memory at a time: what the doctor's checks need to know."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from duhamel.datasets.schema import Source

# Neighbouring changes that a change is compared with, on either side.
NEIGHBOURS = 3


@dataclass(frozen=True)
class Place:
    """Where in a file something was met."""

    trajectory: int
    time: int

    def __str__(self) -> str:
        return f"trajectory {self.trajectory}, state {self.time}"


@dataclass(frozen=True)
class Survey:
    """What one pass found.

    non_finite: number of values that are NaN or infinite, in states and coefficients; first_non_finite: in states.
    low, high: range of each channel and then each coefficient; NaN where nothing is finite.
    origins: hash of what each trajectory starts from: its first state (not the guess of a stationary one) and its
        coefficients. contents: hash of everything, scalars included.
    onset, jump: largest sudden change while changes only fall from the first one on, and later, as a multiple of the
        usual change (`sudden_change`), and where. The former may be physics: a rough initial state that settles.
    """

    source: Source
    non_finite: int
    first_non_finite: Place | None
    low: Float[np.ndarray, " quantity"]
    high: Float[np.ndarray, " quantity"]
    origins: tuple[bytes, ...]
    contents: tuple[bytes, ...]
    onset: tuple[float, Place] | None
    jump: tuple[float, Place] | None


def survey(source: Source, *, progress: Callable[[], None] = lambda: None) -> Survey:
    """Read every trajectory once; `progress` is called after each."""
    problem = source.problem
    n_quantities = len(problem.channels) + len(problem.coefficients)
    low, high = np.full(n_quantities, np.nan), np.full(n_quantities, np.nan)
    non_finite, first = 0, None
    origins, contents = [], []
    onset: tuple[float, Place] | None = None
    jump: tuple[float, Place] | None = None
    for i in range(source.n_trajectories):
        u, fields = source.read(i, 0, source.n_times), source.read_coefficients(i)
        finite = np.isfinite(u)
        if not finite.all():
            time = int((~finite).any(axis=tuple(range(1, u.ndim))).nonzero()[0][0])
            first = first or Place(i, time)
        non_finite += int((~finite).sum() + (~np.isfinite(fields)).sum())
        for k, values in enumerate((*np.moveaxis(u, 1, 0), *fields)):
            # The zero guess of a stationary problem is no datum.
            data = values[1:] if problem.steady and k < len(problem.channels) else values
            data = data[np.isfinite(data)]
            if data.size:
                low[k], high[k] = np.fmin(low[k], data.min()), np.fmax(high[k], data.max())
        origins.append(_hash(fields) if problem.steady else _hash(u[0], fields))
        contents.append(_hash(u, fields, source.scalars[i]))
        if not problem.steady and finite.all():
            settling, later = sudden_change(u)
            if len(later):
                onset = _larger(onset, (float(settling.max()), Place(i, int(settling.argmax()) + 1)))
                jump = _larger(jump, (float(later.max()), Place(i, int(later.argmax()) + 1)))
        progress()
    return Survey(source, non_finite, first, low, high, tuple(origins), tuple(contents), onset, jump)


def sudden_change(
    u: Float[np.ndarray, "time channel *space"],
) -> tuple[Float[np.ndarray, " change"], Float[np.ndarray, " change"]]:
    """Each change between neighbouring states as a multiple of what is usual; empty where states are too few to tell.

    Twice: of channels whose changes have only fallen since the first one (a rough initial state settles), and of the
    others; 0 where there is none. A foreign state among others is a change that grew.

    Usual is the larger of the trajectory's median change and the median of the three changes on either side: fast
    phases (a shock that forms) are slow to come and go, a foreign frame is not. Each channel is measured by itself, in
    the L2 norm, the worst one counts; changes at the level of rounding do not.
    """
    if len(u) < 2 * NEIGHBOURS:
        return np.zeros(0), np.zeros(0)
    flat = u.reshape(*u.shape[:2], -1).astype(np.float64)
    change = np.linalg.norm(np.diff(flat, axis=0), axis=2)
    rounding = 1e-5 * np.linalg.norm(flat, axis=2).max(axis=0)
    padded = np.pad(change, ((NEIGHBOURS, NEIGHBOURS), (0, 0)), constant_values=np.nan)
    around = np.stack([padded[k : k + len(change)] for k in range(2 * NEIGHBOURS + 1) if k != NEIGHBOURS])
    usual = np.maximum(np.nanmedian(around, axis=0), np.median(change, axis=0))
    ratio = change / np.maximum(np.maximum(usual, rounding), np.finfo(np.float64).tiny)
    falls = np.diff(change, axis=0, prepend=np.inf) <= 0
    settling = np.logical_and.accumulate(falls, axis=0)
    return np.where(settling, ratio, 0.0).max(axis=1), np.where(settling, 0.0, ratio).max(axis=1)


def _larger(a: tuple[float, Place] | None, b: tuple[float, Place]) -> tuple[float, Place]:
    return b if a is None or b[0] > a[0] else a


def _hash(*arrays: np.ndarray) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()
