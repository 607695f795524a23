"""docs/benchmark.md: its code runs, what it names exists."""

import importlib
import re
from pathlib import Path

from omegaconf import OmegaConf

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "benchmark.md").read_text()


def test_the_example_runs_and_ends_in_a_verdict(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(example, "docs/benchmark.md", "exec"), {})
    assert capsys.readouterr().out.startswith("At its median relative error of")


def test_contenders_it_names_exist():
    named = re.findall(r"^\| `(\w+)\.(\w+)` \|", TEXT, re.MULTILINE)
    assert len(named) == 7
    for module, name in named:
        assert hasattr(importlib.import_module(f"duhamel.benchmark.{module}"), name)
    (yaml,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert OmegaConf.create(yaml).theirs._target_ == "duhamel.benchmark.modules.Module"
