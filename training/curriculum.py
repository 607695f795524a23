"""How many steps in a row a surrogate takes in training before it sees the truth again."""

import math
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Curriculum(Protocol):
    """From teacher forcing (horizon 1) to a full rollout (horizon n_steps).

    `observe` is told the mean training loss at the end of each epoch; what a curriculum remembers goes through
    `state_dict` into the checkpoint, so that a resumed run continues on the same horizon.
    """

    def horizon(self, progress: float, n_steps: int) -> int:
        """Steps taken in a row at `progress` in [0, 1] of the training, of the n_steps that a window holds."""
        ...

    def observe(self, loss: float) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Schedule:
    """A curriculum that depends on progress alone and remembers nothing."""

    def observe(self, loss: float) -> None:
        """Time alone moves a schedule."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state:
            raise ValueError(f"{type(self).__name__} has no state, the checkpoint holds {state}")


class OneStep(Schedule):
    """Teacher forcing throughout."""

    def horizon(self, progress: float, n_steps: int) -> int:
        return 1


class FullRollout(Schedule):
    """The whole window from its first state throughout."""

    def horizon(self, progress: float, n_steps: int) -> int:
        return n_steps


class Linear(Schedule):
    """From one step at `start` to the whole window at `end`, in equal shares of progress.

    >>> [Linear(start=0.0, end=1.0).horizon(p, 10) for p in (0.0, 0.5, 1.0)]
    [1, 5, 10]
    """

    def __init__(self, *, start: float = 0.2, end: float = 0.8) -> None:
        if not 0 <= start < end <= 1:
            raise ValueError(f"start {start} and end {end} must be ordered shares of the training in [0, 1]")
        self.start, self.end = start, end

    def horizon(self, progress: float, n_steps: int) -> int:
        share = min(max((progress - self.start) / (self.end - self.start), 0.0), 1.0)
        return max(1, math.floor(share * n_steps))


class Staged(Schedule):
    """Horizons for equal or given shares of the training.

    horizons: steps in each stage, None for the whole window. until: progress at which each stage ends, the last 1.

    >>> staged = Staged([1, 4, None], until=[0.5, 0.8, 1.0])
    >>> [staged.horizon(p, 40) for p in (0.0, 0.5, 0.9)]
    [1, 4, 40]
    """

    def __init__(self, horizons: Sequence[int | None], *, until: Sequence[float]) -> None:
        if not horizons or len(horizons) != len(until) or list(until) != sorted(until) or until[-1] != 1:
            raise ValueError(f"stages {list(horizons)} need as many ascending ends, the last 1, got {list(until)}")
        if any(h is not None and h < 1 for h in horizons):
            raise ValueError(f"horizons must be at least 1, got {list(horizons)}")
        self.horizons, self.until = tuple(horizons), tuple(until)

    def horizon(self, progress: float, n_steps: int) -> int:
        stage = next((i for i, end in enumerate(self.until) if progress < end), len(self.until) - 1)
        horizon = self.horizons[stage]
        return n_steps if horizon is None else min(horizon, n_steps)


class Tanh(Schedule):
    """tau = clip(floor(T/2 (1 + tanh((s - 1/2) / width))), 1, T), s the progress after `warmup`.

    Source: Takamoto, Alesiani and Niepert (2023), CAPE, with width 0.2 and warm-up 3 of 100 epochs. T counts states,
    the first included.
    """

    def __init__(self, *, width: float = 0.2, warmup: float = 0.03) -> None:
        if width <= 0 or not 0 <= warmup < 1:
            raise ValueError(f"width {width} must be positive and warmup {warmup} in [0, 1)")
        self.width, self.warmup = width, warmup

    def horizon(self, progress: float, n_steps: int) -> int:
        s = (progress - self.warmup) / (1 - self.warmup)
        tau = math.floor((n_steps + 1) * 0.5 * (1 + math.tanh((s - 0.5) / self.width)))
        return min(max(tau, 1), n_steps)


class LossGated:
    """A horizon that is multiplied by `growth` each time the loss allows it.

    The horizon grows when the mean training loss of an epoch falls to `threshold`, or after `patience` epochs on one
    horizon, and never before `start`, a share of the training spent on single steps.
    """

    def __init__(self, *, threshold: float, patience: int, growth: float = 2.0, start: float = 0.0) -> None:
        if threshold <= 0 or patience < 1 or growth <= 1 or not 0 <= start < 1:
            raise ValueError(
                f"threshold {threshold} and patience {patience} must be positive, growth {growth} above 1 and "
                f"start {start} in [0, 1)"
            )
        self.threshold, self.patience, self.growth, self.start = threshold, patience, growth, start
        self.limit = 1.0
        self.epochs = 0
        self.progress = 0.0

    def horizon(self, progress: float, n_steps: int) -> int:
        self.progress = progress
        return min(math.floor(self.limit), n_steps)

    def observe(self, loss: float) -> None:
        if self.progress < self.start:
            return
        self.epochs += 1
        if loss <= self.threshold or self.epochs >= self.patience:
            self.limit = max(self.limit * self.growth, math.floor(self.limit) + 1)
            self.epochs = 0

    def state_dict(self) -> dict[str, Any]:
        return {"limit": self.limit, "epochs": self.epochs, "progress": self.progress}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.limit, self.epochs, self.progress = state["limit"], state["epochs"], state["progress"]
