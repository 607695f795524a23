"""What studies report: tables of failures and gaps, finer grids, numerical solvers beside a surrogate."""

import json
import math
from dataclasses import asdict, replace

import pytest
import torch
from rich.console import Console

from duhamel.benchmark import study as studies
from duhamel.benchmark import whole_evolution
from duhamel.benchmark.per_solve import error_of, gathered, solves
from duhamel.benchmark.resolution import interpolated, zero_shot
from duhamel.benchmark.study import Outcome, best_validation, earlier, table
from duhamel.benchmark.whole_evolution import errors, in_its_modes, without
from duhamel.datasets import FreshDataModule
from duhamel.fields import Parameters, Trajectory
from duhamel.operators import NSM, Normaliser, Persistence, PODRegression, Surrogate
from duhamel.pdes import FisherKPP, Poisson, Uniform
from duhamel.solvers import reference_trajectory
from tests.operators.problems import line


def test_a_table_has_spreads_gaps_and_reasons():
    outcomes = [
        Outcome("wild", 0, 2.0, 1.0, {"a": 1.0}),
        Outcome("wild", 1, 2.0, 1.0, {"a": None}),
        Outcome("good", 0, 2.0, 1.0, {"a": 1.0}),
        Outcome("good", 1, 4.0, 3.0, {"a": 3.0}),
        Outcome("bad", 0, 1.0, 1.0, {}, "error: no such file"),
    ]
    console = Console(width=160, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table("t", outcomes, ["a", "b"]))
    rows = [line.split("│") for line in console.export_text().splitlines() if line.startswith("│")]
    cells = {row[1].strip(): [cell.strip() for cell in row[2:-1]] for row in rows}
    assert cells["good"] == ["2/2", "2 ± 1.4", "-", "2 ± 1.4", "3 ± 1.4"]
    assert cells["wild"][1] == "not finite in 1 of 2"
    assert cells["bad"][:2] == ["0/1", "error: no such file"]


def test_an_interrupted_study_keeps_what_it_would_do_again_in_the_same_way(tmp_path):
    study = {"arguments": ["a=1"], "contenders": {"x": ["b=1"], "y": ["b=2"], "z": []}}
    outcomes = [Outcome("x", 0, 2.0, 1.0, {"a": 1.0}), Outcome("y", 0, 2.0, 1.0, {"a": 1.0})]
    outcomes.append(Outcome("z", 0, 1.0, 1.0, {}, "error: killed"))
    assert earlier(tmp_path, study) == {}
    written = {"study": study, "outcomes": [asdict(o) for o in outcomes]}
    (tmp_path / "study.json").write_text(json.dumps(written))
    changed = {**study, "contenders": {**study["contenders"], "y": ["b=3"]}}
    assert earlier(tmp_path, changed) == {("x", 0): outcomes[0], ("z", 0): outcomes[2]}
    assert earlier(tmp_path, {**study, "arguments": ["a=2"]}) == {}


def test_what_a_study_has_outlives_further_runs_of_it(tmp_path, monkeypatch):
    """resume=true does again what failed; what it does not touch, or is killed in, stays in study.json."""
    trained: list[tuple[str, int]] = []
    fails, killed = {("mgno", 0)}, set()

    def train(folder, contender, seed, arguments):
        if (contender, seed) in killed:
            raise KeyboardInterrupt
        trained.append((contender, seed))
        return Outcome(contender, seed, 1.0, 1.0, {}, "error: failed" if (contender, seed) in fails else "")

    def run(*options):
        trained.clear()
        shared = ["study=darcy_architectures", "data=none", f"out={tmp_path}", "seeds=[0,1]"]
        monkeypatch.setattr("sys.argv", ["study", *shared, *options])
        try:
            studies.main()
        except (SystemExit, KeyboardInterrupt) as end:
            return type(end)
        return None

    def written():
        return {
            (o["contender"], o["seed"]): o["reason"]
            for o in json.loads((tmp_path / "study.json").read_text())["outcomes"]
        }

    monkeypatch.setattr(studies, "train", train)
    everything = {(name, seed) for name in ("fno", "mgno", "unet", "pod_regression") for seed in (0, 1)}
    assert run() is SystemExit and set(trained) == set(written()) == everything
    killed.add(("mgno", 0))
    assert run("resume=true") is KeyboardInterrupt and set(written()) == everything
    killed.clear()
    fails.clear()
    assert run("resume=true", "only=[fno]") is SystemExit and not trained and set(written()) == everything
    assert run("resume=true") is None and trained == [("mgno", 0)] and not any(written().values())
    assert run("only=[fno]", "seeds=[1]") is None and set(written()) == {("fno", 1)}


def test_the_best_validation_is_the_least_and_absent_where_nothing_was_trained(tmp_path):
    assert best_validation(tmp_path) == {}
    (tmp_path / "metrics.csv").write_text("epoch,val/a,train/loss\n0,nan,\n0,3.0,\n0,,9.0\n1,2.0,\n2,2.5,\n")
    assert best_validation(tmp_path) == {"val/a": 2.0}


def at_rest(n: int) -> Trajectory:
    x = line(n).grid.coordinates(dtype=torch.float32)[0]
    u = torch.sin(2 * math.pi * x) + torch.cos(6 * math.pi * x)
    params = Parameters(torch.ones(1, 1), torch.zeros(1, 0, n))
    return Trajectory(u.expand(1, 4, 1, n), params, line(n).grid, 0.1)


def test_states_at_rest_are_exact_on_every_grid_and_a_refusal_is_no_error():
    surrogate = Surrogate(Persistence(line(16)), Normaliser(line(16)), trained_range={})
    assert zero_shot(surrogate, at_rest(64)) == 0
    assert interpolated(surrogate, at_rest(16), at_rest(64)) < 1e-6
    bound = Surrogate(PODRegression(line(16), rank=2), Normaliser(line(16)), trained_range={})
    assert zero_shot(bound, at_rest(16)) is not None
    assert zero_shot(bound, at_rest(64)) is None


def test_errors_at_all_times_stand_beside_those_without_diffusion(tmp_path, capsys):
    """Without diffusion u_t = r u (1 - u) at each point: u0 e^(r t) / (1 - u0 + u0 e^(r t))."""
    pde = FisherKPP(diffusivity=Uniform(0.01, 0.01), growth_rate=Uniform(2.0, 2.0))
    data = FreshDataModule(pde, shape=[128], dt=0.25, n_steps=4, n_validation=2, n_test=3, substeps=20)
    data.setup()
    batch = gathered(data.test_dataloader())
    growth = torch.exp(2.0 * 0.25 * torch.arange(1.0, 5.0))[:, None, None]
    u0 = batch.u[:, :1]
    logistic = u0 * growth / (1 - u0 + u0 * growth)
    torch.testing.assert_close(without("diffusivity", pde, batch, 20), logistic, rtol=1e-4, atol=1e-4)
    assert errors(batch.u[:, 1:], batch) == (0.0, 0.0)
    with pytest.raises(ValueError, match="--without speed: fisher_kpp has diffusivity, growth_rate"):
        without("speed", pde, batch, 20)

    config = {"_target_": "duhamel.datasets.FreshDataModule", "shape": [128], "dt": 1.0, "n_test": 3, "substeps": 80}
    uniform = {"_target_": "duhamel.pdes.Uniform", "high": 2.0, "low": 2.0}
    (tmp_path / "config.yaml").write_text(
        json.dumps({"dataset": {**config, "pde": {"_target_": "duhamel.pdes.FisherKPP", "growth_rate": uniform}}})
    )
    problem = pde.problem(data.grid, 1.0)
    operator = NSM(problem, modes=7, time_modes=4, width=4, n_layers=1)
    Surrogate(operator, Normaliser(problem), trained_range={}).save(tmp_path / "surrogate.safetensors")
    x, t = data.grid.coordinates()[0][:, None], torch.linspace(0, 0.25 * 4, 5, dtype=torch.float64)
    held = (1 + t**3)[:, None] * torch.cos(6 * math.pi * x).T  # of degree 3, and of the third wave: the last of each
    waves = replace(batch, u=(held + torch.sin(8 * math.pi * x).T)[None, :, None])
    torch.testing.assert_close(in_its_modes(operator, waves), held[None, 1:, None], rtol=1e-10, atol=1e-10)
    whole_evolution.main([str(tmp_path), "--without", "diffusivity", "--times", "4"])
    shown = capsys.readouterr().out
    assert all(
        row in shown
        for row in ("NSM", "in its modes", "the initial state", "mean of the validation", "without diffusivity")
    )


@pytest.mark.parametrize("steady", [True, False])
def test_the_ladder_of_solvers_reaches_the_reference(steady, generator):
    pde = Poisson() if steady else FisherKPP(diffusivity=Uniform(0.01, 0.01), growth_rate=Uniform(1.0, 1.0))
    grid, dt = pde.grid((32, 32) if steady else (64,)), 0.0 if steady else 0.5
    u0, params = pde.sample_initial(grid, 2, generator), pde.sample_params(grid, 2, generator)
    u = reference_trajectory(pde, u0, params, grid, dt, 1, substeps=1 if steady else 400)
    batch = Trajectory(u, params, grid, dt)
    errors = {name: error(solve()) for name, solve, error in solves(pde, batch)}
    assert error_of(u[:, -1], batch) == 0
    assert min(errors.values()) < 1e-9
    first = next(iter(errors.values()))
    assert first > 1e-3, "the cheapest must not be exact"
