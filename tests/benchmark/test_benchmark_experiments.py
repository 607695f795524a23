"""The shipped benchmarks, through their own command, on a few points with untrained surrogates."""

import sys
from pathlib import Path

import pytest
import torch

from duhamel.benchmark import __main__ as program
from duhamel.benchmark.result import read
from duhamel.benchmark.workload import Draw
from duhamel.fields import Moments, Statistics
from duhamel.operators import FNO, NSM, MgNO, NeuralopFNO, Normaliser, Operator, Surrogate
from duhamel.operators.card import trained_range
from duhamel.pdes import Darcy, NavierStokes
from tests.benchmark.contests import burgers_surrogate
from tests.test_experiments import generated

ROOT = Path(__file__).parents[2]
QUICK = [
    "++benchmark.protocol.seconds=0.01", "++benchmark.protocol.repeats=2", "++benchmark.protocol.least=1",
    "++benchmark.protocol.warm_up=1", "benchmark.batch_sizes=[1,2]", "benchmark.max_load=null",
    "++benchmark.n_others=2",
]  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


def run(monkeypatch, folder: Path, experiment: str, *overrides: str):
    out = folder / experiment / "benchmark.json"
    monkeypatch.setattr(sys, "argv", ["benchmark", f"+experiment={experiment}", *QUICK, *overrides, f"out={out}"])
    monkeypatch.chdir(ROOT)
    threads = torch.get_num_threads()
    try:
        program.main()
    finally:
        torch.set_num_threads(threads)
    assert (out.parent / "report.html").is_file() and (out.parent / "work_precision.png").is_file()
    return read(out).result


def surrogate(operator: Operator, work) -> Surrogate:
    """Untrained, with statistics of the workload; nobody asks here how good it is."""

    def moments(columns: torch.Tensor) -> Moments:
        one = torch.ones(len(columns), dtype=torch.float64)
        if columns.numel() == 0:
            return Moments(*(torch.zeros(0, dtype=torch.float64) for _ in range(6)))
        return Moments(columns.mean(1), one, columns.amin(1), columns.amax(1), 0 * one, one)

    states = work.u0.transpose(0, 1).flatten(1)
    statistics = Statistics(
        moments(states + torch.linspace(0, 1, states.shape[1], dtype=torch.float64)),
        moments(0.1 * states + torch.linspace(0, 0.1, states.shape[1], dtype=torch.float64)),
        moments(work.params.scalars.T),
        moments(work.params.fields.transpose(0, 1).flatten(1)),
    )
    made = Surrogate(
        operator, Normaliser.fitted(work.problem, statistics), trained_range=trained_range(work.problem, statistics)
    )
    made.add_cost({"n_trajectories": 0, "n_steps": work.n_steps, "training_seconds": 1.0})
    return made


def test_quick(tmp_path, monkeypatch):
    burgers_surrogate().save(tmp_path / "s.safetensors")
    viscous = [f"benchmark.{where}.viscosity.low=0.05" for where in ("draw.pde", "others.thin", "others.loud")]
    viscous += [v.replace("low=0.05", "high=0.1") for v in viscous]
    result = run(
        monkeypatch, tmp_path, "quick", f"surrogate={tmp_path / 's.safetensors'}", "benchmark.draw.shape=[32]",
        "benchmark.draw.n_steps=3", "benchmark.draw.n_samples=6", "benchmark.contenders.etdrk4.n=[16,32]",
        "benchmark.contenders.etdrk4.knobs.substeps=[1]", "benchmark.truth.rtol=1e-6", "benchmark.shapes=[[16],[32]]",
        *viscous,
    )  # fmt: skip
    assert {s.contender for s in result.settings} == {"fno", "etdrk4", "persistence"}
    assert not any(s.reason for s in result.settings) and len(result.verdicts) == 1
    assert {o.name for o in result.out_of_range} == {"thin", "loud"}


def test_darcy(tmp_path, monkeypatch):
    data = generated(tmp_path, "darcy", "shape=[8,8]", "refine=2")
    work = Draw(pde=Darcy(), shape=[8, 8], dt=0.0, n_steps=1, n_samples=4).at()
    operators = {
        "fno": FNO(work.problem, n_modes=4, width=4, n_layers=1, padding=0.25),
        "mgno": MgNO(work.problem, width=4, pre=(1, 1)),
        "nsm": NSM(work.problem, modes=4, width=4, n_layers=1),
        "neuraloperator": NeuralopFNO(work.problem, n_modes=4, hidden_channels=4, n_layers=1),
    }
    for name, operator in operators.items():
        surrogate(operator, work).save(tmp_path / f"{name}.safetensors")
    result = run(
        monkeypatch, tmp_path, "darcy_benchmark", f"data={data}",
        *(f"{name}={tmp_path / name}.safetensors" for name in operators),
        "benchmark.draw.shape=[8,8]", "benchmark.draw.n_samples=4", "benchmark.truth.rtol=5e-3",
        "benchmark.contenders.pod.operator.rank=8", "benchmark.contenders.direct.n=[4]",
        "benchmark.contenders.dst_pcg.n=[4]", "benchmark.contenders.multigrid_pcg.n=[4]", "benchmark.shapes=[[8,8]]",
    )  # fmt: skip
    assert not any(s.reason for s in result.settings)
    assert len(result.verdicts) == 5 and all("not comparable" in v for v in result.verdicts)
    assert sum(s.kind == "solver" for s in result.settings) == 1 + 6 + 6


def test_navier_stokes(tmp_path, monkeypatch):
    draw = Draw(pde=NavierStokes(), shape=[16, 16], dt=1.0, n_steps=2, n_samples=3)
    work = draw.at()
    surrogate(FNO(work.problem, n_modes=4, width=4, n_layers=1), work).save(tmp_path / "s.safetensors")
    easy = ["~benchmark.others.thin", "~benchmark.contenders.etdrk4_all_points"]
    for where in ("draw.pde", "others.loud"):
        easy += [f"benchmark.{where}.{x}" for x in ("viscosity.low=0.02", "viscosity.high=0.02", "initial.n_modes=2")]
    result = run(
        monkeypatch, tmp_path, "navier_stokes_benchmark", f"surrogate={tmp_path / 's.safetensors'}",
        "benchmark.draw.shape=[16,16]", "benchmark.draw.n_steps=2", "benchmark.draw.n_samples=3", *easy,
        "benchmark.contenders.etdrk4.n=[8]", "benchmark.contenders.etdrk4.knobs.substeps=[1,2]",
        "benchmark.truth.rtol=1e-4", "benchmark.shapes=[]", "++benchmark.stability_factor=2",
    )  # fmt: skip
    assert not any(s.reason for s in result.settings)
    assert result.settings[0].stability.n_steps == 4 and len(result.settings[0].error_by_time) == 2
