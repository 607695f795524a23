"""Trainings side by side: every contender on every seed through train.py, then a table of means and spreads.

    python -m duhamel.benchmark.study study=darcy data=FOLDER [seeds=[0,1]] [only=[NAME,...]] [out=FOLDER] [resume=true]

A study is a YAML file in conf/study: arguments that all contenders share, arguments of each contender, and the entries
of metrics.json to report, or of validation (val/..., the least value along the training). Contenders take turns (seed
by seed), one process each; a contender that fails stays in the table with its reason. Seconds of the processor are
those of the whole training, data and tests included: other processes on the machine matter less to them than to
seconds of the clock. study.json is written anew after each training; with resume=true it keeps the trainings that it
has with the arguments that they would have now, and those that ended well are not done again.
"""

import csv
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from duhamel.command_line import reported
from duhamel.version import __version__


@dataclass(frozen=True)
class Outcome:
    """One training. metrics is empty, and reason says why, where it failed; seconds count the whole process.

    seconds: of the clock. cpu_seconds: of all its threads on the processor, in user mode. commit: of the code that ran.
    """

    contender: str
    seed: int
    seconds: float
    cpu_seconds: float
    metrics: dict[str, float | None]
    reason: str = ""
    commit: str = ""


def train(folder: Path, contender: str, seed: int, arguments: Sequence[str]) -> Outcome:
    """Runs train.py of the current folder, output to train.txt in the run directory."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "train.py", *arguments, f"seed={seed}", f"hydra.run.dir={folder}"]
    start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with (folder / "train.txt").open("w") as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    seconds = time.perf_counter() - start
    cpu_seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
    if code:
        lines = [
            line
            for line in (folder / "train.txt").read_text().splitlines()
            if "Error" in line or line.startswith("error:")
        ]
        reason = (lines or [f"exit status {code}"])[-1]
        return Outcome(contender, seed, seconds, cpu_seconds, {}, reason, commit())
    metrics = {**best_validation(folder), **json.loads((folder / "metrics.json").read_text())}
    return Outcome(contender, seed, seconds, cpu_seconds, metrics, commit=commit())


def commit() -> str:
    """The revision that is checked out."""
    return subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()


def earlier(out: Path, study: dict[str, Any]) -> dict[tuple[str, int], Outcome]:
    """Trainings of a study.json with the arguments of this study, by contender and seed."""
    if not (out / "study.json").is_file():
        return {}
    written = json.loads((out / "study.json").read_text())
    if written["study"]["arguments"] != study["arguments"]:
        return {}
    theirs, ours = written["study"]["contenders"], study["contenders"]
    found = (Outcome(**entry) for entry in written["outcomes"])
    return {(o.contender, o.seed): o for o in found if o.contender in ours and theirs[o.contender] == ours[o.contender]}


def best_validation(folder: Path) -> dict[str, float]:
    """The least value of each validation metric along a training, from its metrics.csv; none without a training."""
    if not (folder / "metrics.csv").is_file():
        return {}
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith("val/")] if rows else []
    values = {name: [float(row[name]) for row in rows if row[name]] for name in names}
    return {name: min((x for x in seen if not math.isnan(x)), default=math.nan) for name, seen in values.items()}


def table(title: str, outcomes: Sequence[Outcome], report: Sequence[str]) -> Table:
    """Mean and sample standard deviation over seeds, a row a contender; - for a metric that it does not have."""
    result = Table("contender", "seeds", *report, "CPU seconds", "seconds", title=title)
    for contender in dict.fromkeys(o.contender for o in outcomes):
        mine = [o for o in outcomes if o.contender == contender]
        good = [o for o in mine if not o.reason]
        cells = [_spread([o.metrics[key] for o in good if key in o.metrics]) for key in report]
        cells = cells if good else [mine[0].reason] * len(report)
        seconds = (_spread([o.cpu_seconds for o in mine]), _spread([o.seconds for o in mine]))
        result.add_row(contender, f"{len(good)}/{len(mine)}", *cells, *seconds)
    return result


def _spread(values: Sequence[float | None]) -> str:
    if not values:
        return "-"
    finite = [x for x in values if x is not None and math.isfinite(x)]
    if len(finite) < len(values):
        return f"not finite in {len(values) - len(finite)} of {len(values)}"
    values = finite
    deviation = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4g}{deviation}"


def record(cfg: DictConfig, outcomes: Sequence[Outcome]) -> dict[str, object]:
    """All that the table shows, and on what it was measured."""
    return {
        "study": OmegaConf.to_container(cfg.study, resolve=True),
        "outcomes": [asdict(o) for o in outcomes],
        "version": __version__,
        "torch": torch.__version__,
        "threads": os.environ.get("OMP_NUM_THREADS", str(os.cpu_count())),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def write(path: Path, entries: dict[str, object]) -> None:
    """All at once: whoever is killed meanwhile leaves the file that was there."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(entries, indent=2) + "\n")
    os.replace(partial, path)


@reported
@hydra.main(version_base="1.3", config_path="pkg://duhamel.conf", config_name="study")
def main(cfg: DictConfig) -> None:
    out, contenders = Path(cfg.out), dict(cfg.study.contenders)
    if unknown := set(cfg.only or ()) - set(contenders):
        raise ValueError(f"only={sorted(unknown)}: the study has {sorted(contenders)}")
    if cfg.only:
        contenders = {name: contenders[name] for name in cfg.only}
    study: Any = OmegaConf.to_container(cfg.study, resolve=True)
    outcomes = earlier(out, study) if cfg.resume else {}
    for seed in cfg.seeds:
        for name, own in contenders.items():
            done = outcomes.get((name, seed))
            if done is None or done.reason:
                arguments = [*cfg.study.arguments, *own]
                outcomes[name, seed] = train(out / f"{name}_{seed}", name, seed, arguments)
                write(out / "study.json", record(cfg, list(outcomes.values())))
    Console(width=140).print(table(cfg.study.title, list(outcomes.values()), list(cfg.study.report)))
    if any(o.reason for o in outcomes.values()):
        raise SystemExit("some trainings failed: see their train.txt")


if __name__ == "__main__":
    main()
