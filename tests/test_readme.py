"""What the README shows, works."""

import importlib.util
import re
from pathlib import Path

import pytest

from duhamel.operators import FNO, Normaliser, Surrogate
from duhamel.operators.card import trained_range
from tests.operators.problems import line, line_statistics

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_example_runs_as_printed(tmp_path: Path, monkeypatch, capsys):
    statistics = line_statistics()
    surrogate = Surrogate(
        FNO(line(), n_modes=4, width=4),
        Normaliser.fitted(line(), statistics),
        trained_range=trained_range(line(), statistics),
    )
    surrogate.add_metrics({"test/rollout_relative_l2": 0.0123})
    surrogate.save(tmp_path / "surrogate.safetensors")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out == "torch.Size([1, 21, 1, 32]) 0.0123\n"


def test_experiments_and_choices_it_names_exist():
    for name in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", README, re.MULTILINE):
        for experiment in re.findall(r"`(\w+)`", name):
            assert (ROOT / "conf" / "experiment" / f"{experiment}.yaml").is_file(), experiment
    choices = re.findall(r"`((?:training/)?\w+)=([\w|.\-]+)`", README)
    checked = 0
    for group, names in choices:
        if (ROOT / "conf" / group).is_dir():
            for name in names.split("|"):
                assert (ROOT / "conf" / group / f"{name}.yaml").is_file(), f"{group}={name}"
                checked += 1
    assert checked > 10


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m (duhamel[\w.]*)", README))))
def test_commands_it_names_exist(module):
    assert importlib.util.find_spec(module) is not None


def test_make_targets_it_names_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (install|quickstart|test|\w+ )", README):
        assert re.search(rf"^{target.strip()}:", makefile, re.MULTILINE), target


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
