"""What benchmark.json holds; `docs/benchmark.schema.json` is made from these classes, and a file is read through them.

    python -m duhamel.benchmark.result > docs/benchmark.schema.json     # after any change here, to docstrings too

Numbers that are not finite are null: JSON has no others. Times are seconds, `seconds a sample` where a batch is timed.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

Number = float | None


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval."""

    value: Number
    low: Number
    high: Number


@dataclass(frozen=True)
class Cost:
    """Seconds a sample of one batch size: each repeat after warm-up, their median and quartiles.

    transfer: host to device and back, part of what a user waits for, not of `seconds`; 0 on the CPU.
    """

    batch: int
    seconds: list[float]
    median: float
    lower_quartile: float
    upper_quartile: float
    transfer: float


@dataclass(frozen=True)
class FixedCost:
    """Seconds before the first solve, and where each number is from. total: null where one is unknown.

    seconds_per_epoch: training_seconds over n_epochs, validations included; null where there were no epochs.
    """

    data_seconds: Number
    training_seconds: Number
    tuning_seconds: Number
    total: Number
    n_epochs: int | None
    seconds_per_epoch: Number
    sources: dict[str, str]


@dataclass(frozen=True)
class Bin:
    """Median error of the samples whose `parameter` lies between `low` and `high`."""

    parameter: str
    low: float
    high: float
    n_samples: int
    error: Number


@dataclass(frozen=True)
class Worst:
    """One of the five samples of largest error."""

    index: int
    error: Number
    parameters: dict[str, float]


@dataclass(frozen=True)
class Stability:
    """Rollouts of `n_steps` steps: shares that stay finite, and that stay below twice the largest |u| of the truth."""

    n_steps: int
    n_samples: int
    finite: float
    bounded: float


@dataclass(frozen=True)
class SettingResult:
    """One setting of one contender; `reason` says why it failed, altogether or at one batch size, where it has no cost.

    n_parameters: real numbers, of which a complex parameter has two.
    errors: relative L2 over all states wanted, by sample. error_by_time: its median over samples at each state.
    accuracy: means over samples. horizon_lyapunov: in Lyapunov times, where the equation states its exponent.
    spectrum: energy by shell at the last state, first channel, mean over samples.
    """

    name: str
    contender: str
    kind: str
    knobs: dict[str, str | float | int]
    reason: str
    errors: list[Number]
    median_error: Number
    p95_error: Number
    costs: list[Cost]
    fixed: FixedCost | None
    n_parameters: int | None
    accuracy: dict[str, Interval]
    error_by_time: list[Number]
    spectrum: list[Number]
    by_parameter: list[Bin]
    worst: list[Worst]
    stability: Stability | None


@dataclass(frozen=True)
class Ratio:
    """How many times dearer the solvers are, with its 95 % interval; `bound` as in `front.Reading`.

    The interval resamples samples, and takes costs from single rounds of the timing instead of their medians.
    """

    value: Number
    low: Number
    high: Number
    bound: str
    against: list[str]


@dataclass(frozen=True)
class Comparison:
    """A surrogate against the front of all solver settings, each at its own cost for this batch size.

    batch: samples at once; 0: each at the batch size that suits it best. at: "median" or "p95" of errors over samples.
    equal_accuracy: the speed-up. naive: against the most accurate setting, not comparable, with the ratio of errors.
    error_at_equal_cost: of the front. break_even: solves until data, training and tuning are earned back at equal
    accuracy; null: never, or unknown costs. break_even_naive: the same against the most accurate setting.
    """

    surrogate: str
    batch: int
    at: str
    error: Number
    seconds: float
    equal_accuracy: Ratio
    naive: Ratio
    naive_error_ratio: Number
    error_at_equal_cost: Ratio
    break_even: Number
    break_even_naive: Number


@dataclass(frozen=True)
class TransferCell:
    """Median error of what was trained on `trained` points an axis, on `tested` points, against the truth there."""

    contender: str
    trained: list[int]
    tested: list[int]
    method: str
    error: Number
    reason: str


@dataclass(frozen=True)
class OutOfRange:
    """Median errors on samples of another distribution."""

    name: str
    setting: str
    error: Number
    in_range: Number
    reason: str


@dataclass(frozen=True)
class TruthRecord:
    """The reference solution: estimated_error is the largest of all samples; points an axis and steps per dt."""

    rtol: float
    estimated_error: float
    best_contender: str
    best_error: Number
    n: list[int]
    substeps: int
    seconds: float
    spectrum: list[Number]


@dataclass(frozen=True)
class Result:
    """One benchmark. front: names of the solver settings on it, by batch size (0: best).

    over_seeds: mean relative L2 of contenders trained several times, over trainings and samples; null where one failed
    or diverged.
    load_before, load_after: share of the cores that others kept busy around the timing.
    """

    title: str
    verdicts: list[str]
    equation: str
    grid: list[int]
    dt: float
    n_steps: int
    n_samples: int
    seed: int
    parameters: dict[str, list[float]]
    truth: TruthRecord
    settings: list[SettingResult]
    front: dict[str, list[str]]
    comparisons: list[Comparison]
    over_seeds: dict[str, Interval]
    transfer: list[TransferCell]
    out_of_range: list[OutOfRange]
    batch_sizes: list[int]
    load_before: float
    load_after: float
    machine: dict[str, Any]


@dataclass(frozen=True)
class Document:
    """benchmark.json: what was run (configuration, commit, versions) and what came out."""

    origin: dict[str, Any]
    result: Result

    @property
    def samples(self) -> str:
        """What the samples are, as text: equal for two files whose contenders solved the same ones.

        Configuration of the draw where the file has one, device apart; else equation, grid, steps, seed and the ranges
        of the parameters tell samples apart, coefficients and initial states do not.
        """
        r = self.result
        ranges = {name: [f"{end:.6g}" for end in ends] for name, ends in r.parameters.items()}
        draw = {**((self.origin.get("configuration") or {}).get("benchmark") or {}).get("draw", {}), "device": None}
        drawn = [r.equation, r.grid, r.dt, r.n_steps, r.n_samples, r.seed, ranges, draw]
        return json.dumps(drawn, sort_keys=True)


ADAPTER: TypeAdapter[Document] = TypeAdapter(Document)


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of benchmark.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ADAPTER.json_schema()}


def validated(document: dict[str, Any]) -> Document:
    """Raises ValueError where a document is no benchmark.json, naming the places."""
    try:
        # Through JSON: what is checked is what is written.
        return ADAPTER.validate_json(json.dumps(document, allow_nan=False), strict=True)
    except ValidationError as error:
        raise ValueError(f"not a benchmark.json: {error}") from error


def read(path: str | Path) -> Document:
    """A benchmark.json, checked. Raises ValueError, naming the file."""
    text = Path(path).read_text(encoding="utf-8")
    try:
        return ADAPTER.validate_json(text, strict=True)
    except ValidationError as error:
        raise ValueError(f"{path}: not a benchmark.json of this version: {error}") from error


def finite(x: float) -> Number:
    """x, or None where it is not finite."""
    return float(x) if math.isfinite(x) else None


def finite_list(values: Iterable[float]) -> list[Number]:
    return [finite(x) for x in values]


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
