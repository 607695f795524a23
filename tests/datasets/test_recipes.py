"""Every data set of a paper is composed and made, two samples of it, at a tiny size."""

import re
from pathlib import Path

import hydra
import pytest
import torch
from omegaconf import DictConfig

from duhamel.datasets.formats import open_source
from duhamel.datasets.generate import generate, recipe_of

pytestmark = pytest.mark.usefixtures("unchecked")  # solvers take thousands of steps

ROOT = Path(__file__).parents[2]
RECIPES = sorted(path.stem for path in (ROOT / "conf" / "recipe").glob("*.yaml"))
# Points an axis, by the number of axes; states are cheap, so the first two.
TINY = {1: 128, 2: 16, 3: 8}
# Eight waves a side, or fronts between two phases, need some more.
WAVES = 41


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_made(name: str, tmp_path: Path) -> None:
    with hydra.initialize_config_module("duhamel.conf", version_base="1.3"):
        whole = hydra.compose("generate", overrides=[f"+recipe={name}", "out=f.hdf5"])
        shape = [WAVES if {"omega", "threshold"} & set(whole.pde) else TINY[len(whole.shape)]] * len(whole.shape)
        n_steps = min(whole.n_steps, 2)
        tiny = [
            "n_samples=2",
            "error_samples=1",
            "batch_size=2",
            f"shape={shape}",
            f"n_steps={n_steps}",
            f"warmup={min(whole.warmup, 1)}",
        ]
        if whole.max_refine and len(shape) > 1:
            # Flows in the plane, to the same test for a hundredth of the time.
            tiny += ["dt=0.01", "substeps=1"]
        # Waves of 256 or 500 modes are not for so few points.
        if "prandtl" in whole.pde:
            tiny += ["dt=0.005"]
        few = min(6, shape[0] // 8)
        tiny += [f"{key}={few}" for key in modes(whole.pde, "pde", few)]
        config = hydra.compose("generate", overrides=[f"+recipe={name}", "out=f.hdf5", *tiny])
    published = recipe_of(whole)
    assert published.n_samples >= 50 and published.error_samples >= 4, "a recipe says how many, and measures its error"
    estimate = generate(recipe_of(config), tmp_path / "f.hdf5", command="test")
    source = open_source(tmp_path / "f.hdf5")
    assert 0 <= estimate.maximum < 1 and source.provenance["estimated_error"]["max"] == estimate.maximum
    assert source.problem.steady == (whole.dt == 0) and source.n_trajectories == 2
    u = torch.from_numpy(source.read(0, 0, source.n_times))
    assert bool(u.isfinite().all()) and float(u.std()) > 0


def modes(config: DictConfig, place: str, few: int) -> list[str]:
    """Places of `n_modes` that a tiny grid does not hold."""
    found = [f"{place}.{key}" for key, value in config.items() if key == "n_modes" and value > few]
    nested = ((f"{place}.{key}", value) for key, value in config.items() if isinstance(value, DictConfig))
    return found + [name for inner, value in nested for name in modes(value, inner, few)]


def test_the_documents_list_every_recipe() -> None:
    listed = re.findall(r"^\| `(\w[\w-]*)` \|", (ROOT / "docs" / "datasets.md").read_text(), re.MULTILINE)
    assert sorted(listed) == RECIPES
