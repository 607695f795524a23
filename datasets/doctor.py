"""Is this file fit to train on? `python -m duhamel.datasets.doctor FILE...`; exit status 1 and a reason where not."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from duhamel.datasets import checks
from duhamel.datasets.equation_check import equation
from duhamel.datasets.findings import Finding, Verdict
from duhamel.datasets.formats import open_source
from duhamel.datasets.splits import split_by_index
from duhamel.datasets.survey import Survey, survey

# The data module's defaults.
FRACTIONS, SEED = (0.8, 0.1, 0.1), 0
# Two draws of a coarse, two-valued coefficient may coincide; a share of held-out trajectories below this is said only.
COINCIDENCE = 0.02
STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red", Verdict.SKIPPED: "dim"}


def examine(
    paths: Sequence[Path],
    *,
    mapping: Path | None = None,
    equation_name: str | None = None,
    console: Console | None = None,
) -> dict[str, list[Finding]]:
    """Findings of each file by its path, then those of all files together under "all files"."""
    report: dict[str, list[Finding]] = {}
    surveys: list[Survey] = []
    with Progress(console=console, transient=True) as progress:
        for path in paths:
            try:
                source = open_source(path, mapping=mapping, equation=equation_name)
            except (ValueError, NotImplementedError, OSError) as error:
                report[str(path)] = [Finding("readable", Verdict.FAIL, str(error))]
                continue
            task = progress.add_task(f"reading {path.name}", total=source.n_trajectories)
            found = survey(source, progress=partial(progress.advance, task))
            surveys.append(found)
            report[str(path)] = [
                checks.finite(found),
                checks.varying_fields(found),
                checks.duplicates(found),
                checks.time_axis(source),
                checks.jumps(found),
                equation(source),
                checks.provenance(found),
            ]
    if surveys:
        report["all files"] = [*varying_scalars(surveys), leakage(surveys)]
    return report


def varying_scalars(surveys: Sequence[Survey]) -> list[Finding]:
    """A parameter with one value teaches nothing about it."""
    values: dict[str, set[float]] = {}
    for found in surveys:
        for k, quantity in enumerate(found.source.problem.scalars):
            values.setdefault(quantity.name, set()).update(found.source.scalars[:, k].tolist())
    findings = []
    for name, met in values.items():
        if not np.isfinite(list(met)).all():
            findings.append(Finding(f"parameter {name}", Verdict.FAIL, "is not finite in some trajectory"))
        elif len(met) == 1:
            detail = f"is {met.pop():g} throughout: what depends on it cannot be learned from this"
            findings.append(Finding(f"parameter {name}", Verdict.WARN, detail))
        else:
            detail = f"{len(met)} values, {min(met):g} to {max(met):g}"
            findings.append(Finding(f"parameter {name}", Verdict.OK, detail))
    return findings


def leakage(surveys: Sequence[Survey]) -> Finding:
    """No trajectory tests from where another, of whatever file, trained (same initial state and coefficients)."""
    check = "train and test differ"
    n = max(len(found.origins) for found in surveys)
    try:
        split = split_by_index(n, FRACTIONS, seed=SEED)
    except ValueError as error:
        return Finding(check, Verdict.SKIPPED, str(error))
    trained = {
        found.origins[i]: f"{found.source.path.name}[{i}]"
        for found in surveys
        for i in split.train
        if i < len(found.origins)
    }
    held_out = [(found, i) for found in surveys for i in (*split.validation, *split.test) if i < len(found.origins)]
    # A stationary problem starts nowhere: its coefficients are what tells instances apart.
    shares = "has the coefficients of" if surveys[0].source.problem.steady else "starts as"
    leaks = [
        f"{found.source.path.name}[{i}] {shares} {trained[found.origins[i]]}"
        for found, i in held_out
        if found.origins[i] in trained
    ]
    if not leaks:
        return Finding(
            check, Verdict.OK, f"none of {len(held_out)} held out by the default split starts as one trained on"
        )
    shown = ", ".join(leaks[:3]) + (", ..." if len(leaks) > 3 else "")
    verdict = Verdict.FAIL if len(leaks) > COINCIDENCE * len(held_out) else Verdict.WARN
    return Finding(check, verdict, f"{len(leaks)} of {len(held_out)} held out are met in training: {shown}")


def table(title: str, findings: Sequence[Finding]) -> Table:
    rows = Table("check", "verdict", "detail", title=title, title_justify="left", expand=True)
    for finding in findings:
        rows.add_row(finding.check, Text(finding.verdict, style=STYLES[finding.verdict]), Text(finding.detail))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Report on the files of the command line; exit status 1 where a check fails."""
    parser = argparse.ArgumentParser(
        prog="python -m duhamel.datasets.doctor",
        description="Check that HDF5 files are fit to train on. Files given together are taken as one data set.",
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--mapping", type=Path, help="YAML description of a layout of your own")
    parser.add_argument("--equation", help="name of the PDE, where the files do not say it")
    options = parser.parse_args(arguments)
    console = Console()
    report = examine(options.files, mapping=options.mapping, equation_name=options.equation, console=console)
    for title, findings in report.items():
        if findings:
            one = len(options.files) == 1 and title == "all files"
            console.print(table("the same file as a data set" if one else title, findings))
    failed = [
        f"{title}: {f.check}" for title, findings in report.items() for f in findings if f.verdict is Verdict.FAIL
    ]
    if failed:
        console.print(Text(f"not fit to train on: {'; '.join(failed)}", style="bold red"))
        sys.exit(1)
    n_warnings = sum(f.verdict is Verdict.WARN for findings in report.values() for f in findings)
    console.print(Text("fit to train on" + (f"; {n_warnings} warnings to read" if n_warnings else ""), style="green"))


if __name__ == "__main__":
    main()
