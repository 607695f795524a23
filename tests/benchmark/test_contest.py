"""A whole benchmark: nothing configured is missing from the result, and no number is there without its conditions."""

import copy
import json
import math
from pathlib import Path

import pytest
import torch
from rich.console import Console

from duhamel.benchmark.contenders import Given, SavedSurrogate
from duhamel.benchmark.machine import require_quiet
from duhamel.benchmark.records import n_numbers
from duhamel.benchmark.result import read, schema, validated
from duhamel.benchmark.sweeps import SolverSweep, darcy_direct, darcy_iterative, darcy_multigrid, geometric_means
from duhamel.benchmark.workload import Draw, Truth
from duhamel.fields import Parameters
from duhamel.metrics import relative_l2
from duhamel.pdes import Burgers, Darcy, KuramotoSivashinsky, Lorenz96
from duhamel.solvers import Multigrid, ScaledLaplacian
from tests.benchmark.contests import DRAW, burgers_surrogate, contest

ROOT = Path(__file__).parents[2]
QUIET = Console(quiet=True)


@pytest.fixture
def document(finished) -> dict:
    return copy.deepcopy(finished[1])


def test_every_configured_contender_appears_failed_ones_with_their_reason(document):
    settings = {s["name"]: s for s in document["result"]["settings"]}
    assert len(settings) == 2 + 8 + 4
    assert settings["broken"]["reason"] == "RuntimeError: no licence for this solver"
    assert "not finite" in settings["diverging"]["reason"] and not settings["diverging"]["costs"]
    alive = [s for s in settings.values() if not s["reason"]]
    assert len(alive) == 12
    for s in alive:
        assert [c["batch"] for c in s["costs"]] == [1, 4] and len(s["errors"]) == 12
        assert all(len(c["seconds"]) >= 2 for c in s["costs"])


def test_errors_are_against_the_truth_and_solvers_show_their_order(document):
    settings = {s["name"]: s for s in document["result"]["settings"]}
    coarse, fine = (settings[f"etdrk4 n=64 substeps={m} dtype=float64"]["median_error"] for m in (1, 2))
    assert math.log2(coarse / fine) > 3.7
    # Persistence against the definition.
    work = DRAW.at()
    exact = Truth(rtol=3e-7).solve(work).u[:, 1:]
    expected = relative_l2(work.u0[:, None].expand_as(exact), exact)
    assert settings["persistence"]["errors"] == pytest.approx(expected.tolist(), rel=1e-5)


def test_panel_holds_every_figure_with_an_interval(document):
    fno = document["result"]["settings"][0]
    names = {"relative_l2", "nrmse", "vrmse", "h1", "relative_l2_low", "relative_l2_mid", "relative_l2_high", "horizon"}
    assert names | {"rollout_drift/mass", "reference_drift/mass"} <= set(fno["accuracy"])
    for figure in fno["accuracy"].values():
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert fno["stability"]["n_steps"] == 30
    assert len(fno["by_parameter"]) == 4 and sum(b["n_samples"] for b in fno["by_parameter"]) == 12
    assert [w["error"] for w in fno["worst"]] == sorted(fno["errors"], reverse=True)[:5]
    assert set(document["result"]["over_seeds"]) == {"fno"}


def test_resolutions_and_other_ranges_are_judged_by_their_own_truth(document):
    cells = document["result"]["transfer"]
    assert {(*c["tested"], c["method"]) for c in cells} == {
        (16, "direct"), (16, "interpolated"), (32, "direct"), (64, "direct"), (64, "interpolated"),
    }  # fmt: skip
    assert all(c["error"] is not None for c in cells)
    others = {o["setting"]: o for o in document["result"]["out_of_range"]}
    assert others["persistence"]["error"] > others["persistence"]["in_range"]


def test_verdict_is_generated_and_names_both_speed_ups(document):
    first = document["result"]["verdicts"][0]
    assert "median relative error" in first and "not comparable" in first
    assert "0 s of data, 3 s of training" in first and "12 samples are few" in first


def test_document_follows_the_published_schema(document, tmp_path):
    published = json.loads((ROOT / "docs" / "benchmark.schema.json").read_text())
    assert published == schema(), "python -m duhamel.benchmark.result > docs/benchmark.schema.json writes it anew"
    assert validated(document).result.n_samples == 12
    path = tmp_path / "benchmark.json"
    path.write_text(json.dumps(document))
    assert read(path).result.title == "Burgers, small"
    del document["result"]["settings"][0]["reason"]
    with pytest.raises(ValueError, match="reason"):
        validated(document)


def test_a_truth_that_is_not_ten_times_better_ends_the_benchmark_with_both_numbers(tmp_path):
    loose = contest(tmp_path, truth=Truth(rtol=1e-3), shapes=[], others={})
    with pytest.raises(ValueError, match=r"truth's estimated relative error is \d.*best contender \(etdrk4.*\) is \d"):
        loose.run(QUIET)


def test_costs_that_nobody_knows_are_asked_for(tmp_path):
    path = tmp_path / "surrogate.safetensors"
    burgers_surrogate(training_seconds=None).save(path)
    with pytest.raises(ValueError, match="set training_seconds"):
        SavedSurrogate(str(path)).settings("fno", DRAW.at())
    (told,) = SavedSurrogate(str(path), training_seconds=7.0, tuning_seconds=2.0).settings("fno", DRAW.at())
    assert told.fixed.total == 9.0 and told.fixed.sources["training"] == "configuration"
    assert told.fixed.seconds_per_epoch == 7.0 / 4
    with pytest.raises(ValueError, match="data_seconds and training_seconds"):
        Given(lambda u, params: u, kind="surrogate").settings("mine", DRAW.at())


def test_data_are_counted_by_solving_some_again(tmp_path):
    surrogate = burgers_surrogate()
    work = Draw(pde=Burgers(), shape=[128], dt=0.02, n_steps=2).at()
    provenance = {"equation": "burgers", "n": [512], "dt": 0.02, "substeps": 2, "dtype": "float64"}
    provenance["problem"] = work.problem.to_dict()
    surrogate.description.data["provenance"] = provenance
    surrogate.add_cost({"n_trajectories": 1000, "n_steps": 2, "training_seconds": 1.0})
    surrogate.save(tmp_path / "s.safetensors")
    (setting,) = SavedSurrogate(str(tmp_path / "s.safetensors")).settings("fno", DRAW.at())
    assert setting.fixed.data_seconds > 0 and "1000 trajectories" in setting.fixed.sources["data"]


def test_a_surrogate_of_another_problem_fails_with_the_difference(tmp_path):
    burgers_surrogate().save(tmp_path / "s.safetensors")
    (setting,) = SavedSurrogate(str(tmp_path / "s.safetensors")).settings("fno", DRAW.at())
    with pytest.raises(ValueError, match="dt = 0.02, the workload asks for dt = 0.5"):
        setting.build(Draw(pde=Burgers(), shape=[32], dt=0.5, n_steps=1).at())
    with pytest.raises(ValueError, match="equation: burgers"):
        setting.build(Draw(pde=KuramotoSivashinsky(), shape=[32], dt=0.02, n_steps=1).at())


def test_a_busy_machine_is_refused(monkeypatch):
    from duhamel.benchmark import machine

    monkeypatch.setattr(machine, "load_of_others", lambda: 0.8)
    with pytest.raises(ValueError, match="80 % of the cores"):
        require_quiet(0.3)
    assert require_quiet(None) == 0.8


def test_seeds_fix_the_functions_on_every_grid():
    draw = Draw(pde=Burgers(), shape=[64], dt=0.1, n_steps=1, n_samples=3)
    torch.testing.assert_close(draw.at([128]).u0[..., ::2], draw.at().u0, rtol=0, atol=1e-12)
    darcy = Draw(pde=Darcy(), shape=[8, 8], dt=0.0, n_steps=1, n_samples=2)
    fine, coarse = darcy.at([16, 16]).params.fields, darcy.at().params.fields
    assert torch.equal(fine[..., ::2, ::2], coarse)


def test_a_truth_by_multigrid_is_that_of_the_direct_solver():
    work = Draw(pde=Darcy(), shape=[8, 8], dt=0.0, n_steps=1, n_samples=2).at()
    direct, fast = Truth(rtol=2e-2).solve(work), Truth(rtol=2e-2, solver=darcy_multigrid).solve(work)
    assert direct.cost.n == fast.cost.n
    torch.testing.assert_close(fast.u, direct.u, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("preconditioner", [Multigrid, ScaledLaplacian])
def test_loose_darcy_solvers_approach_the_direct_one(preconditioner):
    work = Draw(pde=Darcy(), shape=[16, 16], dt=0.0, n_steps=1, n_samples=4).at()
    u0, params = work.u0, work.params
    (direct,) = SolverSweep(n=[16], solver=darcy_direct).settings("direct", work)
    exact = direct.build(work)(u0, params)
    sweep = SolverSweep(
        n=[16], solver=darcy_iterative, knobs={"preconditioner": [preconditioner], "tolerance": [1e-1, 1e-3, 1e-6]}
    )
    errors = [float(relative_l2(s.build(work)(u0, params), exact).max()) for s in sweep.settings("pcg", work)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-4


def test_coarse_then_interpolate_converges_to_the_fine_answer():
    work = Draw(pde=Darcy(), shape=[32, 32], dt=0.0, n_steps=1, n_samples=3).at()
    smooth = Parameters(work.params.scalars, torch.ones_like(work.params.fields))
    sweep = SolverSweep(n=[8, 16, 64], solver=darcy_direct, coefficients=geometric_means)
    exact = SolverSweep(n=[128], solver=darcy_direct).settings("d", work)[0].build(work)(work.u0, smooth)
    errors = [float(relative_l2(s.build(work)(work.u0, smooth), exact).max()) for s in sweep.settings("d", work)]
    assert math.log2(errors[0] / errors[1]) > 1.7 and errors[2] < errors[1] / 8


def test_chaotic_equations_state_their_lyapunov_exponent():
    assert Lorenz96().lyapunov_exponent == 1.7
    assert KuramotoSivashinsky(length=22.0).lyapunov_exponent == 0.043
    assert KuramotoSivashinsky().lyapunov_exponent == 0.09 and Burgers().lyapunov_exponent is None


def test_complex_parameters_count_twice():
    module = torch.nn.ParameterList([torch.zeros(3, 2), torch.zeros(5, dtype=torch.complex64)])
    assert n_numbers(module) == 16
