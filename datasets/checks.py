"""Checks of one file, from its survey (`duhamel.datasets.survey`) and from the file itself."""

from collections.abc import Iterator

import h5py
import numpy as np

from duhamel.datasets.coordinates import spacing
from duhamel.datasets.findings import Finding, Verdict
from duhamel.datasets.schema import Source
from duhamel.datasets.survey import Place, Survey

# A change this many times the usual one is no evolution: in files of nine equations the largest is 2, but for the
# changes that only fall from the initial state on, which reach 140 where that is rougher than anything after it.
SUDDEN = 5.0
SUDDEN_ONSET = 10.0
# Names under which the known layouts store times; PDEBench's has one entry more than there are states.
TIMES = ("time", "t", "t-coordinate")
PADDED = "t-coordinate"


def finite(survey: Survey) -> Finding:
    """No NaN, no infinity."""
    if survey.non_finite == 0:
        return Finding("finite values", Verdict.OK, "all")
    place = f", first in {survey.first_non_finite}" if survey.first_non_finite else ", in coefficients only"
    return Finding("finite values", Verdict.FAIL, f"{survey.non_finite} values are NaN or infinite{place}")


def varying_fields(survey: Survey) -> Finding:
    """Every channel and coefficient takes more than one value."""
    problem = survey.source.problem
    names = [q.name for q in (*problem.channels, *problem.coefficients)]
    constant = [(n, a) for n, a, b in zip(names, survey.low, survey.high, strict=True) if not a < b]
    if not constant:
        return Finding("fields vary", Verdict.OK, ", ".join(names))
    detail = ", ".join(f"{name} is {value:g} everywhere" for name, value in constant)
    dead = any(name in {q.name for q in problem.channels} for name, _ in constant)
    return Finding("fields vary", Verdict.FAIL if dead else Verdict.WARN, detail)


def duplicates(survey: Survey) -> Finding:
    """No trajectory is stored twice."""
    first: dict[bytes, int] = {}
    pairs = [(first.setdefault(h, i), i) for i, h in enumerate(survey.contents)]
    doubled = [f"{b} repeats {a}" for a, b in pairs if a != b]
    if not doubled:
        return Finding("no duplicates", Verdict.OK, f"{len(survey.contents)} trajectories differ")
    shown = ", ".join(doubled[:4]) + (", ..." if len(doubled) > 4 else "")
    return Finding("no duplicates", Verdict.FAIL, f"{len(doubled)} trajectories are stored twice: {shown}")


def jumps(survey: Survey) -> Finding:
    """No state is foreign to its trajectory."""
    check = "no jumps"
    if survey.jump is None or survey.onset is None:
        return Finding(check, Verdict.SKIPPED, "stationary, not finite, or too few states to tell")

    def said(found: tuple[float, Place]) -> str:
        return f"{found[0]:.3g} times the usual one, to {found[1]}"

    if survey.jump[0] > SUDDEN:
        return Finding(check, Verdict.FAIL, f"largest change {said(survey.jump)}")
    if survey.onset[0] > SUDDEN_ONSET:
        return Finding(
            check, Verdict.WARN, f"largest change {said(survey.onset)}: a fast start, or a foreign initial state"
        )
    return Finding(
        check, Verdict.OK, f"largest change {said(max(survey.jump, survey.onset, key=lambda found: found[0]))}"
    )


def provenance(survey: Survey) -> Finding:
    """The file says where its data come from and how wrong they are."""
    entries = survey.source.provenance
    if not entries:
        return Finding("provenance", Verdict.WARN, "the file says nothing of its making, nor of its error")
    error = entries.get("estimated_error")
    if error is None:
        said = entries.get("error_statement", "not stated")
        return Finding("provenance", Verdict.OK, f"converted from {entries.get('source')}; error: {said}")
    detail = f"{entries['solver']}, estimated relative L2 error {error['mean']:.1e}, at most {error['max']:.1e}"
    return Finding("provenance", Verdict.OK, detail)


def time_axis(source: Source) -> Finding:
    """Times that the file stores are as many as the states, equally spaced, and dt apart."""
    if source.problem.steady:
        return Finding("time axis", Verdict.SKIPPED, "stationary")
    wrong, n_rows = [], 0
    for name, times in _stored_times(source):
        n_rows += 1
        if complaint := _complaint(source, name, times):
            wrong.append(complaint)
    if wrong:
        return Finding("time axis", Verdict.FAIL, "; ".join(wrong[:3]) + ("; ..." if len(wrong) > 3 else ""))
    if not n_rows:
        return Finding(
            "time axis", Verdict.SKIPPED, f"no times are stored; dt = {source.problem.dt:g} is taken as given"
        )
    return Finding("time axis", Verdict.OK, f"{source.n_times} states, dt = {source.problem.dt:g}")


def _stored_times(source: Source) -> Iterator[tuple[str, np.ndarray]]:
    """Every row of times: some layouts store one a trajectory."""
    found: list[str] = []

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and name.split("/")[-1] in TIMES and item.ndim in (1, 2):
            found.append(name)

    with h5py.File(source.path, "r", locking="best-effort") as file:
        file.visititems(collect)
        for name in found:
            times = file[name][...]
            for row in times.reshape(-1, times.shape[-1]):
                yield name, row


def _complaint(source: Source, name: str, times: np.ndarray) -> str:
    padded = name == PADDED and len(times) == source.n_times + 1
    if len(times) != source.n_times and not padded:
        return f"{name} has {len(times)} times for {source.n_times} states"
    try:
        step = spacing(times, path=source.path, dataset=name)
    except ValueError as error:
        return str(error)
    if abs(step - source.problem.dt) > 1e-3 * source.problem.dt:
        return f"{name} has steps of {step:g}, the problem says dt = {source.problem.dt:g}"
    return ""
