"""python -m duhamel.benchmark +experiment=NAME [overrides]: one benchmark; a table here, a JSON file beside.

A benchmark that has a report (`write_report`) leaves it in the folder of the JSON file.
"""

import json
import subprocess
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import hydra
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from duhamel.benchmark.machine import machine
from duhamel.command_line import reported
from duhamel.version import __version__


@runtime_checkable
class Reporting(Protocol):
    """A benchmark that shows its result on a page."""

    def write_report(self, folder: Path, document: dict[str, Any]) -> None: ...


def newest(pattern: str) -> str:
    """The youngest file that matches; in YAML ${newest:PATTERN}. ValueError where there is none."""
    found = sorted(Path().glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ValueError(f"no file matches {pattern}: train the surrogate first, or name its file")
    return str(found[-1])


OmegaConf.register_new_resolver("newest", newest, replace=True)


def origin(cfg: DictConfig) -> dict[str, object]:
    """What was run, and on what."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=False).stdout
    except OSError:
        commit, changed = "", ""
    return {
        "configuration": OmegaConf.to_container(cfg, resolve=True),
        "version": __version__,
        "commit": commit + (" and changes" if changed.strip() else ""),
        **machine(),
    }


@reported
@hydra.main(version_base="1.3", config_path="pkg://duhamel.conf", config_name="benchmark")
def main(cfg: DictConfig) -> None:
    torch.manual_seed(cfg.seed)
    torch.set_num_threads(cfg.threads or torch.get_num_threads())
    console = Console(width=180)
    benchmark = instantiate(cfg.benchmark)
    document = {"origin": origin(cfg), "result": benchmark.run(console)}
    out = Path(cfg.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2) + "\n")
    if isinstance(benchmark, Reporting):
        benchmark.write_report(out.parent, document)
    console.print(f"{out}")


if __name__ == "__main__":
    main()
