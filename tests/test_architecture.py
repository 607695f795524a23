"""The tree is what docs/design.md says: layers import one way, modules are small, one package whatever the checkout."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Each layer, and the layers it may import.
LAYERS: dict[str, set[str]] = {
    "fields": set(),
    "pdes": {"fields"},
    "metrics": {"fields", "pdes"},
    "solvers": {"fields", "pdes"},
    "operators": {"fields", "pdes"},
    "datasets": {"fields", "pdes", "solvers"},
    "training": {"fields", "pdes", "operators", "metrics"},
    "inverse": {"fields", "pdes", "solvers", "operators"},
    "benchmark": {"fields", "pdes", "metrics", "solvers", "operators", "datasets", "training", "inverse"},
    "conf": set(),
}

# What a user of a saved surrogate must not pay for, nor a solver or an operator depend on.
HEAVY = {"lightning", "hydra", "omegaconf", "wandb", "tensorboard", "matplotlib", "h5py"}
FORBIDDEN: dict[str, set[str]] = {
    "fields": HEAVY | {"scipy", "neuralop"},
    "pdes": HEAVY | {"neuralop", "torch.nn"},
    "metrics": HEAVY | {"neuralop"},
    "solvers": HEAVY | {"neuralop", "torch.nn"},
    "operators": HEAVY,
    "datasets": {"neuralop", "wandb", "torch.nn"},
    "training": {"h5py"},
}

# Distributions whose import name differs from their own.
IMPORT_NAMES = {
    "neuraloperator": {"neuralop"},
    "hydra-core": {"hydra", "omegaconf"},
    "pyyaml": {"yaml"},
    "pyro-ppl": {"pyro"},
    "py-pde": {"pde"},
    "scikit-fem": {"skfem"},
}

# Layers that need an extra of the package as a whole.
EXTRAS = {"inverse": "inverse"}

MAX_LINES = 300
MAX_LINES_OF_TRAIN = 70


def modules(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def library() -> list[Path]:
    """Every module of the package, each once: the links in src/duhamel are not followed."""
    return [*sorted((ROOT / "src" / "duhamel").glob("*.py")), *(path for name in LAYERS for path in modules(name))]


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that a module imports, at its top or inside a function.

    `from a import b` yields both `a` and `a.b`: `b` may be a module.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            stem = "." * node.level + (node.module or "")
            yield node.lineno, stem
            yield from ((node.lineno, f"{stem}.{alias.name}") for alias in node.names)


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def layer_violations(layer: str, source: str) -> list[tuple[int, str]]:
    """Imports that a module of this layer may not make."""
    allowed = LAYERS[layer] | {layer}
    found = []
    for line, name in imported(source):
        parts = name.split(".")
        upward = parts[0] == "duhamel" and len(parts) > 1 and parts[1] in LAYERS.keys() - allowed
        # Importing the package itself reaches every layer through duhamel.load.
        itself = name == "duhamel.load"
        # torch.nn.functional holds plain functions (padding, convolution), which a solver may use.
        heavy = any(within(name, banned) for banned in FORBIDDEN.get(layer, ()))
        if upward or itself or name == "datasets" or (heavy and not within(name, "torch.nn.functional")):
            found.append((line, name))
    return found


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("fields", "from duhamel.pdes import Burgers"),
        ("operators", "def f():\n    import h5py\n"),
        ("operators", "from duhamel import datasets"),
        ("operators", "import duhamel.datasets.windows as w"),
        ("training", "from duhamel.solvers.base import Solver"),
        ("training", "from h5py import File"),
        ("solvers", "from torch import nn"),
        ("solvers", "import torch.nn as nn"),
        ("metrics", "import lightning.pytorch"),
        ("datasets", "import datasets"),
        ("pdes", "from duhamel import load"),
    ],
)
def test_a_wrong_import_is_seen(layer: str, source: str) -> None:
    assert layer_violations(layer, source)


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("solvers", "import torch.nn.functional as F"),
        ("training", "from duhamel.operators import Operator\nimport lightning"),
        ("operators", "from duhamel.version import __version__\nfrom duhamel.operators.base import Operator"),
    ],
)
def test_a_right_import_passes(layer: str, source: str) -> None:
    assert not layer_violations(layer, source)


def test_imports_go_one_way() -> None:
    wrong = [
        f"{shown(path)}:{line}: {layer} may not import {name}"
        for layer in LAYERS
        for path in modules(layer)
        for line, name in layer_violations(layer, path.read_text())
    ]
    assert not wrong, "\n".join(wrong)


def test_layers_are_acyclic() -> None:
    order = list(LAYERS)
    assert all(order.index(lower) < order.index(layer) for layer, below in LAYERS.items() for lower in below)


def test_third_party_imports_are_declared() -> None:
    """An extra is imported where it is used, inside a function, but for layers that need it as a whole (EXTRAS)."""

    def names(requirements: list[str]) -> set[str]:
        distributions = [re.split(r"[^A-Za-z0-9-]", d)[0].lower() for d in requirements]
        return {name for d in distributions for name in IMPORT_NAMES.get(d, {d})}

    project = PYPROJECT["project"]
    known = names(project["dependencies"]) | set(sys.stdlib_module_names) | {"duhamel"}
    extras = {name for extra, of in project["optional-dependencies"].items() if extra != "dev" for name in names(of)}
    sources = [*library(), *([ROOT / "train.py"] if (ROOT / "train.py").exists() else [])]
    wrong = []
    for path in sources:
        top = {node.lineno for node in ast.parse(path.read_text()).body}
        whole = (
            names(project["optional-dependencies"][EXTRAS[path.parent.name]]) if path.parent.name in EXTRAS else set()
        )
        for line, name in imported(path.read_text()):
            if name.split(".")[0] not in (known | whole if line in top else known | extras):
                wrong.append(f"{shown(path)}:{line}: {name} is not a dependency in pyproject.toml")
    assert not wrong, "\n".join(wrong)


def test_links_mapping_and_folders_agree() -> None:
    setup = PYPROJECT["tool"]["setuptools"]
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    links = {path.name: path for path in (ROOT / "src" / "duhamel").iterdir() if path.is_symlink()}
    names = {"duhamel"} | {f"duhamel.{name}" for name in folders}
    assert folders == set(LAYERS)
    assert set(links) == folders
    assert all(path.readlink() == Path("..", "..", name) for name, path in links.items())
    assert setup["package-dir"] == {"duhamel": "src/duhamel"} | {f"duhamel.{name}": name for name in folders}
    assert set(setup["packages"]) == names and len(setup["packages"]) == len(names)
    # Else ruff would read each module twice.
    assert set(PYPROJECT["tool"]["ruff"]["extend-exclude"]) == {f"src/duhamel/{name}" for name in folders}


def test_folders_are_flat() -> None:
    nested = [shown(path) for name in LAYERS for path in modules(name) if path.parent != ROOT / name]
    assert not nested, f"a folder is one package of modules, without packages inside: {nested}"


def test_no_conftest_at_the_root() -> None:
    assert not (ROOT / "conftest.py").exists(), "it would put the root, and with it `datasets`, on sys.path"


def test_modules_are_small() -> None:
    n_lines = {shown(path): len(path.read_text().splitlines()) for path in library()}
    assert sum(n_lines.values()) > 500
    assert not {name: n for name, n in n_lines.items() if n > MAX_LINES}
    train = ROOT / "train.py"
    assert not train.exists() or len(train.read_text().splitlines()) <= MAX_LINES_OF_TRAIN


def test_modules_say_what_they_are() -> None:
    silent = [
        shown(path) for path in library() if path.read_text() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent, f"modules without a docstring: {silent}"


def test_no_catch_all_modules() -> None:
    named = [
        shown(p) for p in [*library(), *modules("tests")] if p.stem in {"utils", "util", "helpers", "misc", "common"}
    ]
    assert not named, f"a module is named after its one idea: {named}"


def test_annotations_stay_visible_to_the_checker() -> None:
    hidden = [
        f"{shown(path)}:{line}"
        for path in [*library(), *modules("tests")]
        for line, name in imported(path.read_text())
        if name == "__future__.annotations"
    ]
    assert not hidden, f"jaxtyping cannot see postponed annotations: {hidden}"


def test_configuration_parses() -> None:
    files = sorted((ROOT / "conf").rglob("*.yaml"))
    if not files:
        pytest.skip("conf/ holds no YAML file yet")
    for path in files:
        # OmegaConf, not yaml: it refuses a key that is given twice.
        assert OmegaConf.is_config(OmegaConf.load(path)), shown(path)


def test_no_path_of_one_machine() -> None:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip(f"not a git checkout: {listing.stderr.strip()}")
    tracked = [ROOT / name for name in listing.stdout.split("\0") if name]
    machine = re.compile(rb"(?<![\w.-])/(work|root|home|Users)\b")
    assert machine.search(b"see /" + b"work/main") and not machine.search(b"https://example.org/home")
    wrong = [
        f"{shown(path)}:{n}"
        for path in tracked
        if path.is_file() and not path.is_symlink()
        for n, line in enumerate(path.read_bytes().splitlines(), start=1)
        if machine.search(line)
    ]
    assert len(tracked) > 10
    assert not wrong, f"absolute paths: {wrong}"
