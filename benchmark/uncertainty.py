"""95 % intervals by resampling: of means over samples, and of ratios read from a front."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from duhamel.benchmark.result import Interval, finite

N_RESAMPLES = 999
LEVEL = 0.95


def mean(values: Sequence[float] | ndarray, *, seed: int = 0) -> Interval:
    """The mean over samples and its percentile bootstrap interval; not finite where one value is not."""
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        raise ValueError("no samples, no mean")
    if not np.isfinite(x).all():
        return Interval(finite(x.mean()), None, None)
    low, high = _bootstrap((x,), lambda x, axis: np.mean(x, axis=axis), seed=seed, vectorized=True)
    return Interval(float(x.mean()), low, high)


def quantile(errors: Float[ndarray, "*contender sample"], q: float) -> Float[ndarray, "*contender"]:
    """The least error that a share q of the samples does not exceed: one that occurred, so inf may stand beside."""
    return np.asarray(np.quantile(errors, q, axis=-1, method="inverted_cdf"))


def mean_over_seeds(values: Float[ndarray, "seed sample"], *, generator: np.random.Generator) -> Interval:
    """The mean over trainings and samples: trainings are drawn with replacement, then samples, the same for all.

    With few trainings the interval is too short, as every interval from few draws is.
    """
    n_seeds, n_samples = values.shape
    draws = [
        values[generator.integers(n_seeds, size=n_seeds)][:, generator.integers(n_samples, size=n_samples)].mean()
        for _ in range(N_RESAMPLES)
    ]
    # A draw that occurred, so that inf may stand beside the others.
    low, high = np.percentile(draws, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], method="nearest")
    return Interval(finite(float(values.mean())), finite(float(low)), finite(float(high)))


def of_statistic(
    statistic: Callable[[Float[ndarray, " sample"], float], float], n_samples: int, n_rounds: int, *, seed: int = 0
) -> tuple[float | None, float | None]:
    """Interval of a figure of resampled samples and of a single round of the timing.

    statistic: (indices of samples, place of a round in [0, 1)) -> the figure. A round, not the median of many: one run
    of a benchmark differs from the next by more than the error of a median.
    """
    # A single one stands for two alike: scipy resamples no less.
    samples = np.arange(max(n_samples, 2), dtype=np.float64) % n_samples
    rounds = (np.arange(max(n_rounds, 2)) + 0.5) / max(n_rounds, 2)

    def figure(chosen: ndarray, places: ndarray) -> float:
        return statistic(chosen.astype(int), float(places[0]))

    return _bootstrap((samples, rounds), figure, seed=seed, vectorized=False)


def _bootstrap(
    data: tuple[ndarray, ...], statistic: Callable[..., object], *, seed: int, vectorized: bool
) -> tuple[float | None, float | None]:
    if all(x.size == 1 or np.ptp(x) == 0 for x in data):
        value = float(statistic(*data, **({"axis": -1} if vectorized else {})))  # type: ignore[arg-type]
        return finite(value), finite(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        done = stats.bootstrap(
            data, statistic, n_resamples=N_RESAMPLES, confidence_level=LEVEL, method="percentile",
            vectorized=vectorized, rng=np.random.default_rng(seed),
        )  # fmt: skip
    drawn = np.asarray(done.bootstrap_distribution)
    if not np.isfinite(drawn).any():
        return None, None
    # Draws in which there was nothing to read are infinite: they count at their end.
    low, high = np.percentile(drawn, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], method="nearest")
    return finite(float(low)), finite(float(high))


def at_round(seconds: Mapping[str, Sequence[float]], place: float) -> dict[str, float]:
    """Of each setting the repeat at this place of the measurement, as near as its number of repeats allows."""
    return {name: s[min(len(s) - 1, math.floor(place * len(s)))] for name, s in seconds.items()}
