"""python -m duhamel.benchmark +experiment=NAME [overrides]: one benchmark; a table here, a JSON file beside."""

import json
import os
import platform
import subprocess
from pathlib import Path

import hydra
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from duhamel.version import __version__


def origin(cfg: DictConfig) -> dict[str, object]:
    """What was run, and on what."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "configuration": OmegaConf.to_container(cfg, resolve=True),
        "version": __version__,
        "commit": commit,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


@hydra.main(version_base="1.3", config_path="pkg://duhamel.conf", config_name="benchmark")
def main(cfg: DictConfig) -> None:
    torch.manual_seed(cfg.seed)
    torch.set_num_threads(cfg.threads or torch.get_num_threads())
    result = instantiate(cfg.benchmark).run(Console(width=180))
    out = Path(cfg.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"origin": origin(cfg), "result": result}, indent=2) + "\n")
    Console().print(f"{out}")


if __name__ == "__main__":
    main()
