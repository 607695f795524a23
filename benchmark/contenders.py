"""Who takes part: every contender is a propagator, in one or more settings, asked for the same states.

A setting turns a `Workload` into a `Run`: initial states and parameters in, states 1, ..., n_steps on the workload's
grid out. What a run does inside (a grid of its own, another precision) is its own business, and its own time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from duhamel.benchmark.workload import Workload
from duhamel.fields import Parameters, Propagator, State, rollout
from duhamel.operators import Surrogate

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
# SOLVER: takes part in the front that surrogates are held against. BASELINE: shown beside.
SURROGATE, SOLVER, BASELINE = "surrogate", "solver", "baseline"

States = Float[Tensor, "batch time channel *space"]
Run = Callable[[State, Parameters], States]


@dataclass(frozen=True)
class Fixed:
    """Seconds spent before the first solve, and where each number is from; None: nobody has said.

    n_epochs: of the training, where there were any.
    """

    data_seconds: float | None = None
    training_seconds: float | None = None
    tuning_seconds: float | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    n_epochs: int | None = None

    @property
    def seconds_per_epoch(self) -> float | None:
        """Of the training, its validations included; None where either number is unknown."""
        return self.training_seconds / self.n_epochs if self.training_seconds is not None and self.n_epochs else None

    @property
    def total(self) -> float | None:
        """Of data, training and tuning; None where data or training is unknown. Tuning nobody states counts as none."""
        if self.data_seconds is None or self.training_seconds is None:
            return None
        return self.data_seconds + self.training_seconds + (self.tuning_seconds or 0.0)


@dataclass(frozen=True)
class Setting:
    """One choice of a contender's knobs.

    build: raises what is wrong with it; the benchmark keeps the reason.
    dtype: in which it takes states and parameters. surrogate: what is behind it, where a surrogate is.
    """

    contender: str
    kind: str
    knobs: Mapping[str, str | float | int]
    build: Callable[[Workload], Run]
    dtype: torch.dtype = torch.float32
    surrogate: Surrogate | None = None
    fixed: Fixed | None = None

    @property
    def name(self) -> str:
        return " ".join([self.contender, *(f"{k}={v}" for k, v in self.knobs.items())])


@runtime_checkable
class Contender(Protocol):
    """A section of `benchmark.contenders`. Raises ValueError where its configuration is not enough."""

    def settings(self, name: str, work: Workload) -> Sequence[Setting]: ...


def stepping(step: Propagator, work: Workload) -> Run:
    """All states by repeated application of one step."""

    def run(u0: State, params: Parameters) -> States:
        with torch.inference_mode():
            return rollout(step, u0, params, work.n_steps)

    return run


class SavedSurrogate:
    """A surrogate file of train.py.

    path: of the file, or of several that differ in their seed alone.
    dtype: float32, or bfloat16 for products (autocast), as many as are to be compared.
    data_seconds, training_seconds: to be given where the file's card does not say them. Seconds for data are measured
        anew by solving some trajectories as the card says that they were solved.
    tuning_seconds: spent on trials before, all of them; what is not stated counts as none, and the report says so.
    """

    def __init__(
        self,
        path: str | Sequence[str],
        *,
        dtype: Sequence[str] = ("float32",),
        data_seconds: float | None = None,
        training_seconds: float | None = None,
        tuning_seconds: float | None = None,
    ) -> None:
        unknown = sorted(set(dtype) - {"float32", "bfloat16"})
        if unknown:
            raise ValueError(f"a surrogate computes in float32 or bfloat16, got dtype {unknown}")
        self.paths = [Path(p) for p in ([path] if isinstance(path, str) else path)]
        self.dtypes = dtype
        self.stated = {"data": data_seconds, "training": training_seconds, "tuning": tuning_seconds}

    def settings(self, name: str, work: Workload) -> list[Setting]:
        from duhamel.benchmark.fixed_costs import of_surrogate

        found = []
        for i, path in enumerate(self.paths):
            surrogate = Surrogate.load(path)
            fixed = of_surrogate(surrogate, self.stated, where=f"benchmark.contenders.{name} ({path.name})")
            for dtype in self.dtypes:
                knobs: dict[str, str | float | int] = {"seed": i} if len(self.paths) > 1 else {}
                if len(self.dtypes) > 1:
                    knobs["dtype"] = dtype
                found.append(
                    Setting(
                        name, SURROGATE, knobs, surrogate_builder(surrogate, dtype), torch.float32, surrogate, fixed
                    )
                )
        return found


def surrogate_builder(surrogate: Surrogate, dtype: str) -> Callable[[Workload], Run]:
    def build(work: Workload) -> Run:
        surrogate.problem.require_same(work.problem, owner="the surrogate", asker="the workload")
        run = stepping(surrogate.on(work.grid).to(work.device), work)
        if dtype == "float32":
            return run

        def autocast(u0: State, params: Parameters) -> States:
            with torch.autocast(u0.device.type, dtype=DTYPES[dtype]):
                return run(u0, params)

        return autocast

    return build


class Persistence:
    """The initial state for ever; for a stationary problem its guess."""

    def settings(self, name: str, work: Workload) -> list[Setting]:
        return [Setting(name, BASELINE, {}, lambda work: stepping(lambda u, params: u.clone(), work))]


class Given:
    """Any callable with a propagator's signature, (u(t), params) -> u(t + dt) on the workload's grid.

    kind: `solver` puts it on the front; `surrogate` holds it against the front, and its fixed costs must be given.
    """

    def __init__(
        self,
        step: Propagator,
        *,
        kind: str = BASELINE,
        dtype: str = "float32",
        knobs: Mapping[str, str | float | int] | None = None,
        data_seconds: float | None = None,
        training_seconds: float | None = None,
        tuning_seconds: float | None = None,
    ) -> None:
        if kind not in (SURROGATE, SOLVER, BASELINE):
            raise ValueError(f"kind must be {SURROGATE}, {SOLVER} or {BASELINE}, got {kind!r}")
        self.step, self.kind, self.dtype, self.knobs = step, kind, dtype, dict(knobs or {})
        self.fixed = Fixed(data_seconds, training_seconds, tuning_seconds, {})

    def settings(self, name: str, work: Workload) -> list[Setting]:
        from duhamel.benchmark.fixed_costs import require_stated

        fixed = None
        if self.kind == SURROGATE:
            require_stated(self.fixed, where=f"benchmark.contenders.{name}")
            fixed = self.fixed
        return [Setting(name, self.kind, self.knobs, self._build, DTYPES[self.dtype], None, fixed)]

    def _build(self, work: Workload) -> Run:
        step = self.step.to(work.device) if isinstance(self.step, nn.Module) else self.step
        return stepping(step, work)


def described(value: Any) -> str | float | int:
    """A knob's value as a report shows it."""
    if isinstance(value, int | float):
        return value
    if isinstance(value, list | tuple):
        return "x".join(map(str, value))
    return str(getattr(value, "__name__", value))
