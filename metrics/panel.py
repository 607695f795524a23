"""All test figures of one surrogate, gathered over batches."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters, Problem, State
from duhamel.metrics.conservation import Conserving, invariant_drift
from duhamel.metrics.errors import (
    h1,
    max_error,
    nrmse,
    relative_l2,
    relative_l2_by_channel,
    relative_l2_by_time,
    rmse,
    vrmse,
)
from duhamel.metrics.horizon import horizon
from duhamel.metrics.samples import Samples, concatenate
from duhamel.metrics.spectrum import energy_spectrum, relative_l2_by_band

States = Float[Tensor, "batch time channel *space"]


@dataclass(frozen=True)
class Curves:
    """What figures show, for each sample in the order it came, in float64 on the CPU.

    steps: 1, 2, ... in units of dt.
    error, persistence: relative L2 of each state, of the surrogate and of the initial state repeated.
    scalars: parameters of each sample.
    truth_spectrum, prediction_spectrum, error_spectrum: energy by shell at the last step (see `energy_spectrum`).
    """

    steps: Float[Tensor, " time"]
    error: Float[Tensor, "batch time"]
    persistence: Float[Tensor, "batch time"]
    trajectory_error: Float[Tensor, " batch"]
    scalars: Float[Tensor, "batch param"]
    truth_spectrum: Float[Tensor, "batch channel shell"]
    prediction_spectrum: Float[Tensor, "batch channel shell"]
    error_spectrum: Float[Tensor, "batch channel shell"]


class Panel:
    """Figures of merit over a whole test set, exact for batches of any size: it keeps numbers of single samples.

    Averages over samples are taken in `compute`, in float64, each sample once. Nothing is dropped: one diverged sample
    makes a mean inf or NaN, and `rollout_diverged` says how many there are.

    pde: conserves what it names; without it no drift is reported.
    threshold: relative L2 of a state at which the horizon ends.
    n_kept: whole trajectories kept for figures, the first that come; the one of largest error is kept besides.
    grid: of the latest batch; the problem's before the first.
    """

    def __init__(
        self, problem: Problem, *, pde: Conserving | None = None, threshold: float = 0.2, n_kept: int = 2
    ) -> None:
        self.problem = problem
        self.pde = pde
        self.threshold = threshold
        self.n_kept = n_kept
        self.reset()

    def reset(self) -> None:
        """Forget everything, as before the first batch."""
        self._values: dict[str, list[Tensor]] = {}
        self._n_samples = 0
        self.grid = self.problem.grid
        self._first: list[Samples] = []
        self._worst: Samples | None = None

    @torch.no_grad()
    def update(self, prediction: States, target: States, *, initial: State, params: Parameters, grid: Grid) -> None:
        """Add a batch of rollouts in physical units, without the initial state; all have the same number of steps.

        grid: where the states lie; it need not be the problem's own.
        """
        self._check(target)
        self.grid = grid
        steps = self._values.get("error_by_time")
        if steps and steps[0].shape[1] != target.shape[1]:
            raise ValueError(f"rollouts of {target.shape[1]} steps after rollouts of {steps[0].shape[1]}")
        persistence = initial[:, None].expand_as(target)
        before = torch.cat((initial[:, None], target[:, :-1]), dim=1)
        error_by_time = relative_l2_by_time(prediction, target)

        record = {
            "relative_l2": relative_l2(prediction, target),
            "relative_l2_by_channel": relative_l2_by_channel(prediction, target),
            "nrmse": nrmse(prediction, target).mean((1, 2)),
            "vrmse": vrmse(prediction, target).mean((1, 2)),
            "rmse": rmse(prediction, target).mean((1, 2)),
            "max_error": max_error(prediction, target).amax((1, 2)),
            "h1": h1(prediction, target, grid),
            "diverged": (~prediction.isfinite().flatten(1).all(1)).to(error_by_time.dtype),
            "horizon": horizon(error_by_time, self.threshold),
            "persistence": relative_l2(persistence, target),
            "one_step_persistence": relative_l2_by_time(before, target).mean(1),
            "error_by_time": error_by_time,
            "persistence_by_time": relative_l2_by_time(persistence, target),
            "scalars": params.scalars,
            "truth_spectrum": energy_spectrum(target[:, -1:], grid).squeeze(1),
            "prediction_spectrum": energy_spectrum(prediction[:, -1:], grid).squeeze(1),
            "error_spectrum": energy_spectrum((prediction - target)[:, -1:], grid).squeeze(1),
        }
        for band, value in relative_l2_by_band(prediction, target, grid).items():
            record[f"relative_l2_{band}"] = value
        self._record_drift(record, prediction, target, initial=initial, grid=grid)
        for name, value in record.items():
            self._values.setdefault(name, []).append(value)
        self._keep(record["relative_l2"], prediction, target, initial=initial, params=params)

    @torch.no_grad()
    def update_one_step(self, prediction: States, target: States) -> None:
        """Add a batch of single steps, each taken from a true state, whose true outcome is `target`.

        Every state weighs the same, however states are spread over batch and time.
        """
        self._check(target)
        self._values.setdefault("one_step", []).append(relative_l2_by_time(prediction, target).flatten())

    def compute(self) -> dict[str, float]:
        """Figures over all samples so far, by name. Waits for the device once a figure.

        rollout_relative_l2, with _median, _worst, _low, _mid, _high (by wavenumber) and, where there are several
        channels, /<channel>; rollout_nrmse, rollout_vrmse, rollout_rmse, rollout_h1: means over samples;
        rollout_max_error: the largest anywhere; rollout_horizon: mean steps until the threshold is passed, and
        rollout_horizon_censored: the fraction of samples that never pass it; rollout_diverged: fraction of samples that
        are not finite; rollout_drift/<invariant> and reference_drift/<invariant>: mean over samples of the largest
        drift in time of prediction and target; persistence_relative_l2; one_step_persistence_relative_l2: each true
        state taken for the next; one_step_relative_l2, where single steps were given.
        """
        if not self._values:
            raise ValueError("a panel has no figures before its first batch")
        figures = {}
        if self._n_samples:
            figures = self._rollout_figures()
        if "one_step" in self._values:
            figures["one_step_relative_l2"] = self._gathered("one_step").mean()
        return {name: float(value) for name, value in figures.items()}

    def first_divergence(self) -> int | None:
        """The step, 1 being the first, from which on the rollout that diverges first is not finite; None where all are.

        Or its error is not, which overflows earlier.
        """
        diverged = self.by_sample()["diverged"].bool()
        lost = ~self._gathered("error_by_time")[diverged].isfinite()
        return int(lost.any(0).nonzero()[0, 0]) + 1 if diverged.any() else None

    def by_sample(self) -> dict[str, Float[Tensor, "batch ..."]]:
        """Every figure of each sample, in the order they came, in float64 on the CPU; names as in `compute`, bare.

        Averages that are not means (medians, intervals, bins) are taken from these.
        """
        self._need_rollouts()
        return {name: self._gathered(name) for name in self._values if name != "one_step"}

    def on_cpu(self) -> "Panel":
        """The same figures, in the memory of the host."""
        other = copy.copy(self)
        other._values = {name: [value.cpu() for value in values] for name, values in self._values.items()}
        other._first = [samples.map(Tensor.cpu) for samples in self._first]
        other._worst = self._worst.map(Tensor.cpu) if self._worst else None
        return other

    @classmethod
    def merged(cls, parts: "Sequence[Panel]") -> "Panel":
        """One panel of panels that each saw a share of every batch, the first the first rows: as if it had seen all.

        A share may be empty, but none may be left out.
        """
        whole = copy.copy(parts[0])
        shares = [[len(error) for error in part._values.get("relative_l2", [])] for part in parts]
        if len({len(counts) for counts in shares}) != 1:
            raise ValueError(f"panels that shared batches saw different numbers of them: {list(map(len, shares))}")
        whole._values = {
            name: [torch.cat(rows) for rows in zip(*(part._values[name] for part in parts), strict=True)]
            for name in parts[0]._values
        }
        whole._n_samples = sum(part._n_samples for part in parts)
        # Where, among all, the rows of each part lie.
        owners = torch.tensor(
            [p for counts in zip(*shares, strict=True) for p, n in enumerate(counts) for _ in range(n)]
        )
        kept = [
            replace(samples, index=(owners == p).nonzero()[:, 0][samples.index])
            for p, part in enumerate(parts)
            for samples in (*part._first, *([part._worst] if part._worst else []))
        ]
        if kept:
            ordered = concatenate(kept)
            ordered = ordered.select(ordered.index.argsort(stable=True))
            whole._worst = ordered.worst()
            places = [int((ordered.index == i).nonzero()[0, 0]) for i in range(min(whole.n_kept, whole._n_samples))]
            whole._first = [ordered.select(torch.tensor(places))]
        return whole

    def curves(self) -> Curves:
        """What figures show; needs at least one rollout."""
        self._need_rollouts()
        error = self._gathered("error_by_time")
        return Curves(
            steps=torch.arange(1, error.shape[1] + 1, dtype=torch.float64),
            error=error,
            persistence=self._gathered("persistence_by_time"),
            trajectory_error=self._gathered("relative_l2"),
            scalars=self._gathered("scalars"),
            truth_spectrum=self._gathered("truth_spectrum"),
            prediction_spectrum=self._gathered("prediction_spectrum"),
            error_spectrum=self._gathered("error_spectrum"),
        )

    def samples(self) -> Samples:
        """The first `n_kept` trajectories and, last, the one of largest error, on the CPU.

        The worst comes again where it is among the first.
        """
        self._need_rollouts()
        assert self._worst is not None
        return concatenate([*self._first, self._worst]).map(Tensor.cpu)

    def _rollout_figures(self) -> dict[str, Tensor]:
        error = self._gathered("relative_l2")
        survived = self._gathered("horizon")
        figures = {
            "rollout_relative_l2": error.mean(),
            # Of an even number the mean of the two in the middle, where torch takes the lower one.
            "rollout_relative_l2_median": (error.median() - (-error).median()) / 2,
            "rollout_relative_l2_worst": error.max(),
            "rollout_max_error": self._gathered("max_error").max(),
            "rollout_horizon": survived.mean(),
            "rollout_horizon_censored": (survived == self._values["error_by_time"][0].shape[1]).double().mean(),
            "persistence_relative_l2": self._gathered("persistence").mean(),
            "one_step_persistence_relative_l2": self._gathered("one_step_persistence").mean(),
        }
        for name in ("nrmse", "vrmse", "rmse", "h1", "relative_l2_low", "relative_l2_mid", "relative_l2_high"):
            figures[f"rollout_{name}"] = self._gathered(name).mean()
        figures["rollout_diverged"] = self._gathered("diverged").mean()
        if len(self.problem.channels) > 1:
            by_channel = self._gathered("relative_l2_by_channel").mean(0)
            for channel, value in zip(self.problem.channels, by_channel, strict=True):
                figures[f"rollout_relative_l2/{channel.name}"] = value
        for name in sorted(name for name in self._values if name.startswith(("rollout_drift/", "reference_drift/"))):
            figures[name] = self._gathered(name).mean()
        return figures

    def _record_drift(
        self, record: dict[str, Tensor], prediction: States, target: States, *, initial: State, grid: Grid
    ) -> None:
        # A stationary problem has no time over which anything could be conserved.
        if self.pde is None or self.problem.steady:
            return
        for who, states in (("rollout", prediction), ("reference", target)):
            for name, drift in invariant_drift(initial, states, pde=self.pde, grid=grid).items():
                record[f"{who}_drift/{name}"] = drift.amax(1)

    def _keep(
        self, error: Float[Tensor, " batch"], prediction: States, target: States, *, initial: State, params: Parameters
    ) -> None:
        batch = len(error)
        if not batch:
            return
        places = torch.arange(self._n_samples, self._n_samples + batch, device=error.device)
        samples = Samples(places, error, initial, prediction, target, params)
        missing = min(self.n_kept - self._n_samples, batch)
        if missing > 0:
            self._first.append(samples.select(torch.arange(missing, device=error.device)))
        worst = samples.worst()
        self._worst = worst if self._worst is None else concatenate([self._worst, worst]).worst()
        self._n_samples += batch

    def _gathered(self, name: str) -> Tensor:
        return torch.cat(self._values[name]).cpu().double()

    def _need_rollouts(self) -> None:
        if not self._n_samples:
            raise ValueError("a panel has nothing to show before its first rollout")

    def _check(self, target: States) -> None:
        channels = [channel.name for channel in self.problem.channels]
        if target.ndim != 3 + self.problem.grid.ndim or target.shape[2] != len(channels):
            raise ValueError(
                f"states of shape {tuple(target.shape)} are not [batch, time, channel, *space] of channels {channels} "
                f"on a grid of {self.problem.grid.ndim} dimensions"
            )
