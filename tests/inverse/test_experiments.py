"""Every inverse experiment through its own entry point, small; what it leaves behind can be read."""

import json
import sys
from pathlib import Path

import arviz
import numpy as np
import pytest
import torch

from duhamel.fields import Moments, Statistics
from duhamel.inverse.__main__ import main
from duhamel.operators import SNO, Normaliser, Surrogate
from duhamel.operators.card import trained_range
from duhamel.pdes import Darcy

ROOT = Path(__file__).parents[2]
HEADER = "# python -m duhamel.inverse +experiment="
NAMES = sorted(
    path.stem
    for path in (ROOT / "conf" / "experiment").glob("*.yaml")
    if path.read_text().splitlines()[1].startswith(HEADER)
)
QUICK = {
    "burgers_initial": [
        "n_steps=2",
        "substeps=4",
        "sensors.n=3",
        "sensors.steps=[1,2]",
        "methods.map.n_starts=1",
        "+methods.pcn.n_starts=1",
        "methods.pcn.n_chains=4",
        "methods.pcn.n_draws=6",
        "methods.pcn.n_burn=2",
    ],
    "source_location": [
        "methods.map.n_starts=2",
        "+methods.pcn.n_starts=1",
        "methods.pcn.n_draws=30",
        "+methods.pcn.n_burn=30",
    ],
    "tumor_growth": [
        "substeps=12",
        "sensors.lattice=[4,4]",
        "+methods.nuts.n_starts=1",
        "methods.database.n_entries=40",
        "methods.learned_prior_cma.n_simulations=40",
        "+methods.learned_prior_cma.n_generations=4",
        "methods.nuts.n_draws=4",
        "methods.nuts.n_burn=2",
        "+methods.nuts.n_chains=1",
    ],
    "darcy_sensors": [
        "shape=[16,16]",
        "sensors.n=10",
        "methods.adapted.n_reference=40",
        "+methods.adapted.n_chains=8",
        "+methods.adapted.n_draws=20",
        "+methods.adapted.n_burn=20",
        "methods.reference.n_reference=240",
        "+methods.reference.n_chains=8",
        "+methods.uncorrected.n_chains=8",
        "+methods.uncorrected.n_draws=20",
        "+methods.uncorrected.n_burn=20",
    ],
}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")


def untrained(path: Path) -> Path:
    """A surrogate of Darcy on 16 x 16 cells that knows nothing: its error is what methods must survive."""
    torch.manual_seed(0)
    problem = Darcy().problem(Darcy().grid((16, 16)), 0.0)

    def moments(mean: float, std: float, low: float, high: float) -> Moments:
        return Moments(*(torch.tensor([v], dtype=torch.float64) for v in (mean, std, low, high, 0.0, 1.5)))

    none = Moments(*(torch.zeros(0, dtype=torch.float64) for _ in range(6)))
    pressure, permeability = moments(0.1, 0.1, 0.0, 2.0), moments(3.0, 5.0, 1e-3, 1e3)
    statistics = Statistics(pressure, pressure, none, permeability)
    surrogate = Surrogate(
        SNO(problem, n_modes=4, n_modes_out=4, width=16),
        Normaliser.fitted(problem, statistics),
        trained_range=trained_range(problem, statistics),
    )
    surrogate.save(path)
    return path


def test_every_inverse_experiment_is_run_here() -> None:
    assert set(QUICK) == set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_experiment_leaves_posteriors_figures_and_a_report(name, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "run"
    surrogate = [f"surrogate={untrained(tmp_path / 's.safetensors')}"] if name == "darcy_sensors" else []
    command = ["duhamel.inverse", f"+experiment={name}", *QUICK[name], *surrogate, f"hydra.run.dir={folder}"]
    monkeypatch.setattr(sys, "argv", command)
    main()
    rows = json.loads((folder / "report.json").read_text())
    assert (folder / "config.yaml").is_file()
    for row in rows:
        assert list(folder.glob(f"{row['name']}_*.png")), "methods' figures do not share names"
        data = arviz.from_netcdf(folder / f"{row['name']}.nc")
        assert not (folder / "database_trace.png").exists(), "weighted draws have no trace"
        assert data.attrs["status"] == row["status"] and data.attrs["reference_solves"] == row["reference_solves"]
        assert np.isfinite(data.posterior["z"]).all() and np.isfinite(data.observed_data["data"]).all()
        refused = any("FAILED" in gate for gate in row["gates"])
        inferred = [v for v in row.values() if isinstance(v, dict)]
        assert inferred and data.attrs["passed"] == (not refused)
        if refused:
            assert not any("covered_90" in v for v in inferred), "a result that failed its gate gives no interval"
    if name == "darcy_sensors":
        statuses = {row["name"]: row["status"] for row in rows}
        assert statuses == {"uncorrected": "uncorrected", "adapted": "approximate", "reference": "exact"}
        assert {row["name"]: row["reference_solves"] for row in rows}["adapted"] == 40
