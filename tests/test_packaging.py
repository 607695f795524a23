"""The wheel holds the whole package under one name, from any checkout, and importing it is cheap."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAPPING: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"]
FOLDERS = {package: folder for package, folder in MAPPING.items() if package != "duhamel"}


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def expected_files() -> set[str]:
    """What the wheel must hold besides its dist-info, nothing more and nothing less: modules, YAML, any other data."""
    files = {f"duhamel/{path.name}" for path in (ROOT / "src" / "duhamel").glob("*.py")} | {"duhamel/py.typed"}
    for package, folder in FOLDERS.items():
        relative = (path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.is_file())
        # Bytecode and the caches of tools are no part of the package.
        kept = (path for path in relative if not any(part == "__pycache__" or part[0] == "." for part in path.parts))
        files |= {f"{package.replace('.', '/')}/{path.as_posix()}" for path in kept}
    return files


def checkout(target: Path, *, links: bool) -> Path:
    """A copy of the sources without what earlier builds left behind, with or without the links in src/duhamel."""
    target.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target)
    no_caches = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
    for folder in FOLDERS.values():
        shutil.copytree(ROOT / folder, target / folder, ignore=no_caches)
    shutil.copytree(ROOT / "src", target / "src", symlinks=True, ignore=no_caches)
    for path in (target / "src" / "duhamel").iterdir():
        if path.is_symlink() and not links:
            # As git checks a link out where the file system or its core.symlinks has none.
            text = str(path.readlink())
            path.unlink()
            path.write_text(text)
    return target


def build(source: Path) -> Path:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", cwd=source)
    (wheel,) = (source / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(checkout(tmp_path_factory.mktemp("linked") / "checkout", links=True))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, wheel, cwd=target)
    return target


def python(code: str, installed: Path) -> str:
    """What `code` prints in a fresh process that sees the installed wheel before the development tree."""
    return run(sys.executable, "-c", code, cwd=installed, env={**os.environ, "PYTHONPATH": str(installed)})


def content(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_wheel_holds_one_name_and_every_module(wheel: Path) -> None:
    files = content(wheel)
    assert {name.split("/")[0] for name in files} == {"duhamel"}
    assert files == expected_files()
    assert len(files) > len(FOLDERS) + 3


def test_wheel_is_the_same_where_a_checkout_has_no_links(wheel: Path, tmp_path: Path) -> None:
    assert content(build(checkout(tmp_path / "checkout", links=False))) == content(wheel)


def test_every_module_imports_from_the_wheel(wheel: Path, installed: Path) -> None:
    files = sorted(name for name in content(wheel) if name.endswith(".py") and not name.endswith("__main__.py"))
    names = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files]
    code = f"import importlib; print(*(importlib.import_module(n).__file__ for n in {names!r}), sep='\\n')"
    paths = [Path(line) for line in python(code, installed).splitlines()[-len(names) :]]
    assert paths == [installed / name for name in files]


def test_import_is_cheap_and_says_its_version(installed: Path) -> None:
    code = "import json, sys, duhamel; print(json.dumps([duhamel.__version__, duhamel.__file__, sorted(sys.modules)]))"
    version, path, loaded = json.loads(python(code, installed))
    assert Path(path).is_relative_to(installed)
    (dist_info,) = installed.glob("duhamel-*.dist-info")
    assert dist_info.name == f"duhamel-{version}.dist-info"
    heavy = {"lightning", "pytorch_lightning", "hydra", "neuralop", "wandb", "matplotlib", "h5py", "beartype"}
    assert not heavy & {name.split(".")[0] for name in loaded}
