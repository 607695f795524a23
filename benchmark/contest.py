"""Surrogates against reference numerics and against each other: `python -m duhamel.benchmark +experiment=quick`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from duhamel.benchmark.comparison import BEST, Measured, compare, fronts
from duhamel.benchmark.contenders import SOLVER, SURROGATE, Contender, Run, Setting, States
from duhamel.benchmark.costs import costs
from duhamel.benchmark.evaluation import accuracy, errors, first_failure, predicted, stability
from duhamel.benchmark.generalisation import out_of_range, transfer_matrix
from duhamel.benchmark.machine import machine, require_quiet
from duhamel.benchmark.records import Entry, median, over_seeds, ranges, record, result
from duhamel.benchmark.result import Comparison, OutOfRange, Result, TransferCell, finite, validated
from duhamel.benchmark.rollouts import Rollouts, chosen
from duhamel.benchmark.tables import table
from duhamel.benchmark.timing import Protocol
from duhamel.benchmark.verdict import verdict
from duhamel.benchmark.workload import Draw, Truth, Workload
from duhamel.pdes import PDE


class Contest:
    """One problem, its truth, and everybody who solves it.

    draw: the samples. truth: to which tolerance they are solved; the benchmark ends with an error where that is not ten
        times below the most accurate contender. contenders: by name; all of them appear in the result, failed ones with
        their reason.
    batch_sizes: samples solved at once, each timed. protocol: of the timing.
    max_load: share of the cores that others may keep busy; more is an error. null: measured and reported only.
    threshold: relative L2 of a state at which its horizon ends.
    stability_factor: rollouts of so many times the steps; 0 leaves them out. stability_samples: on so many samples.
    shapes: points an axis of the resolution-transfer matrix. others: distributions out of the trained range, by name.
    n_others: samples of these two. others_rtol: tolerance of their truths, null: that of truth.
    """

    def __init__(
        self,
        *,
        title: str,
        draw: Draw,
        truth: Truth,
        contenders: Mapping[str, Contender],
        batch_sizes: Sequence[int] = (1, 8, 64),
        protocol: Protocol | None = None,
        max_load: float | None = 0.3,
        threshold: float = 0.2,
        stability_factor: int = 10,
        stability_samples: int = 32,
        shapes: Sequence[Sequence[int]] = (),
        others: Mapping[str, PDE] | None = None,
        n_others: int = 64,
        others_rtol: float | None = None,
    ) -> None:
        self.title, self.draw, self.truth, self.contenders = title, draw, truth, contenders
        self.batch_sizes, self.protocol, self.max_load = list(batch_sizes), protocol or Protocol(), max_load
        self.threshold, self.stability_factor, self.stability_samples = threshold, stability_factor, stability_samples
        self.shapes, self.others, self.n_others = shapes, dict(others or {}), n_others
        self.others_truth = replace(truth, rtol=others_rtol or truth.rtol)
        self.rollouts: Rollouts | None = None

    def run(self, console: Console) -> dict[str, Any]:
        """The content of `result.Result`."""
        work = self.draw.at()
        entries = [
            Entry(setting) for name, contender in self.contenders.items() for setting in contender.settings(name, work)
        ]
        _require_names(entries)
        console.print(f"{self.title}: {len(entries)} settings of {len(self.contenders)} contenders")
        console.print(f"truth to {self.truth.rtol:g}")
        truth = self.truth.solve(work)
        exact = truth.u[:, 1:]
        for entry in entries:
            self._evaluate(entry, work, exact, console)
        alive = [e for e in entries if not e.reason]
        best = min(alive, key=median, default=None)
        if best is None:
            raise ValueError("every contender failed: " + "; ".join(f"{e.setting.name}: {e.reason}" for e in entries))
        estimated = float(truth.estimated_error.max())
        self.truth.require(estimated, median(best), best.setting.name)
        before = require_quiet(self.max_load)
        runs = {e.setting.name: (e.setting, e.run) for e in alive if e.run is not None}
        found, reasons = costs(runs, work, self.batch_sizes, self.protocol, console.print)
        after = require_quiet(None)
        for entry in alive:
            entry.costs, entry.untimed = found[entry.setting.name], reasons.get(entry.setting.name, "")
        comparisons, on_front = self._compare(alive)
        by_sample = {e.setting.name: e.errors for e in alive}
        self.rollouts = chosen(work, exact, runs, by_sample, comparisons)
        others = self._elsewhere(runs, entries, comparisons, console)
        settings = [result(entry) for entry in entries]
        hardware = machine()
        threads = hardware["threads"]
        where = f"{hardware['gpu'] or hardware['processor']} with {threads} thread{'s'[: threads > 1]}"
        verdicts = [verdict(s, comparisons, settings, where) for s in settings if s.kind == SURROGATE]
        outcome = Result(
            title=self.title,
            verdicts=verdicts,
            equation=work.pde.name,
            grid=list(work.grid.shape),
            dt=work.dt,
            n_steps=work.n_steps,
            n_samples=work.n_samples,
            seed=self.draw.seed,
            parameters=ranges(work),
            truth=record(self.truth, truth, work, best),
            settings=settings,
            front=dict(on_front),
            comparisons=comparisons,
            over_seeds=over_seeds(entries),
            transfer=others[0],
            out_of_range=others[1],
            batch_sizes=self.batch_sizes,
            load_before=before,
            load_after=after,
            machine=hardware,
        )
        console.print(table(outcome))
        for sentence in verdicts:
            console.print(sentence)
        return asdict(outcome)

    def write_report(self, folder: Path, document: dict[str, Any]) -> None:
        """report.html and figures beside benchmark.json."""
        from duhamel.benchmark.figures import write_figures
        from duhamel.benchmark.report import write_report

        checked = validated(document)
        write_figures(folder, checked.result)
        write_report(folder / "report.html", checked, self.rollouts)

    def _evaluate(self, entry: Entry, work: Workload, exact: States, console: Console) -> None:
        setting = entry.setting
        try:
            entry.run = setting.build(work)
            states = predicted(entry.run, setting, work)
            entry.errors = errors(states, exact)
            entry.accuracy = accuracy(states, exact, work, threshold=self.threshold)
            if setting.kind != SOLVER and work.dt and self.stability_factor:
                few = work.first(self.stability_samples)
                entry.stability = stability(setting, few, exact, factor=self.stability_factor)
        except Exception as error:  # whatever a contender raises is its result
            entry.reason = first_failure(error)
        else:
            if not math.isfinite(median(entry)):
                entry.reason = "not finite in at least half of the samples"
        said = entry.reason or f"median error {median(entry):.2e}"
        console.print(f"  {setting.name}: {said}", highlight=False)

    def _compare(self, alive: Sequence[Entry]) -> tuple[list[Comparison], Mapping[str, list[str]]]:
        measured = {
            e.setting.name: Measured(
                e.setting.name,
                e.setting.kind,
                e.errors.numpy(),
                e.costs,
                e.setting.fixed.total if e.setting.fixed else None,
            )
            for e in alive
        }
        solvers = [m for m in measured.values() if m.kind == SOLVER]
        found = [
            compare(m, solvers, batch, at)
            for m in measured.values()
            if m.kind == SURROGATE
            for batch in (BEST, *self.batch_sizes)
            for at in ("median", "p95")
        ]
        return [c for c in found if c is not None], fronts(solvers, self.batch_sizes)

    def _elsewhere(
        self,
        runs: Mapping[str, tuple[Setting, Run]],
        entries: Sequence[Entry],
        comparisons: Sequence[Comparison],
        console: Console,
    ) -> tuple[list[TransferCell], list[OutOfRange]]:
        """Surrogates, baselines and the solvers they were held against, at other resolutions and in other ranges."""
        console.print("other resolutions and distributions")
        settings = [entry.setting for entry in entries if not entry.reason]
        matrix = transfer_matrix(settings, self.draw, self.others_truth, self.shapes, self.n_others)
        held_against = {name for c in comparisons if c.batch == BEST for name in c.equal_accuracy.against}
        few = {n: r for n, r in runs.items() if r[0].kind != SOLVER or n in held_against}
        medians = {e.setting.name: finite(median(e)) for e in entries if not e.reason}
        few = {n: r for n, r in few.items() if n in medians}
        return matrix, out_of_range(few, medians, self.draw, self.others_truth, self.others, self.n_others)


def _require_names(entries: Sequence[Entry]) -> None:
    names = [e.setting.name for e in entries]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ValueError(f"settings of the same name: {', '.join(twice)}")
