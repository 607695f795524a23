"""What a report claims from few samples, zero errors, several trainings and several files."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from duhamel.benchmark import fixed_costs
from duhamel.benchmark.comparison import Measured, compare
from duhamel.benchmark.contenders import SURROGATE, SavedSurrogate, Setting
from duhamel.benchmark.evaluation import bins
from duhamel.benchmark.front import Point, error_at, seconds_at
from duhamel.benchmark.generalisation import median_error
from duhamel.benchmark.records import Entry, over_seeds
from duhamel.benchmark.result import Comparison as Compared
from duhamel.benchmark.result import Cost, Document, FixedCost, Ratio, Result, SettingResult, TruthRecord
from duhamel.benchmark.verdict import verdict
from duhamel.benchmark.workload import Draw
from duhamel.operators import Normaliser, Persistence, Surrogate
from duhamel.pdes import Burgers, Darcy, Poisson
from duhamel.solvers import AdaptiveETDRK4, Solution
from duhamel.solvers.tolerance import Cost as SolveCost
from tests.operators.problems import line


def test_beside_an_error_of_zero_the_attainable_neighbour_bounds():
    front = [Point("coarse", 1e-2, 1.0), Point("exact", 0.0, 10.0)]
    assert (error_at(front, 5.0).value, error_at(front, 5.0).bound) == (1e-2, "at most")
    assert (seconds_at(front, 1e-3).value, seconds_at(front, 1e-3).bound) == (10.0, "at most")


def timed(name: str, kind: str, error: float, seconds: float) -> Measured:
    costs = [Cost(1, [0.9 * seconds, seconds, 1.1 * seconds], seconds, seconds, seconds, 0.0)]
    return Measured(name, kind, np.array([error]), costs)


def test_one_sample_has_an_interval_of_its_timing():
    found = compare(timed("net", "surrogate", 0.1, 1.0), [timed("solver", "solver", 0.1, 4.0)], 1, "median")
    assert found is not None and found.equal_accuracy.value == pytest.approx(4.0)
    assert found.equal_accuracy.low is not None and found.equal_accuracy.low <= 4.0 <= found.equal_accuracy.high


def test_data_of_adaptive_grids_are_timed_on_adaptive_grids(monkeypatch):
    pde, work = Burgers(), Draw(pde=Burgers(), shape=[128], dt=0.02, n_steps=2).at()
    used: list[tuple[int, int]] = []

    class Watched(AdaptiveETDRK4):
        def __init__(self, *arguments, substeps, max_refine):
            used.append((substeps, max_refine))
            super().__init__(*arguments, substeps=substeps, max_refine=max_refine)

    Watched.__name__ = AdaptiveETDRK4.__name__
    monkeypatch.setattr(fixed_costs, "AdaptiveETDRK4", Watched)
    solved = {"equation": pde.name, "solver": "AdaptiveETDRK4", "dtype": "float64", "n": [512], "substeps": 16}
    seconds = fixed_costs._generation({**solved, "dt": 0.02, "problem": work.problem.to_dict()}, 2)
    assert seconds is not None and seconds > 0 and used == [(4, 4)]


def test_data_are_counted_by_the_steps_that_were_solved():
    """Every fifth state of a file, after 125 steps that it does not hold: the surrogate's 4 are 145."""
    surrogate = Surrogate(Persistence(replace(line(16), dt=0.25)), Normaliser(line(16)), trained_range={})
    provenance = {"dt": 0.05, "warmup": 125}
    assert fixed_costs.solved_steps(provenance, surrogate, 4) == 145
    steady = Surrogate(Persistence(replace(line(16), dt=0.0)), Normaliser(line(16)), trained_range={})
    assert fixed_costs.solved_steps({"dt": 0.0}, steady, 1) == 1


def test_precisions_of_one_training_are_no_further_trainings():
    """With bfloat16 among the trainings three of them would count as six, and the interval would be too short."""
    entries = []
    for seed, error in enumerate((0.1, 0.2, 0.3)):
        for dtype in ("float32", "bfloat16"):
            knobs = {"seed": seed, "dtype": dtype}
            setting = Setting("fno", SURROGATE, knobs, build=lambda work: lambda u0, params: u0)
            entries.append(Entry(setting, errors=torch.full((4,), error, dtype=torch.float64)))
    found = over_seeds(entries)
    assert set(found) == {"fno dtype=float32", "fno dtype=bfloat16"}
    assert all(x.value == pytest.approx(0.2) and x.low < 0.15 and x.high > 0.25 for x in found.values())


def test_a_training_that_fails_counts_among_its_seeds():
    """Two good trainings of three are not the method's mean, whether the third diverges in use or left no file."""
    entries = []
    for seed, error in enumerate((0.1, 0.2, math.inf)):
        setting = Setting("fno", SURROGATE, {"seed": seed}, build=lambda work: lambda u0, params: u0)
        entries.append(Entry(setting, errors=torch.full((4,), error, dtype=torch.float64)))
    entries[0].untimed = "batch 64: out of memory"  # it was trained well all the same
    assert over_seeds(entries[:2])["fno"].value == pytest.approx(0.15)
    entries[-1].reason = "not finite in at least half of the samples"
    failed = Setting("fno", SURROGATE, {"seed": 3}, build=lambda work: lambda u0, params: u0)
    for third in (entries[-1], Entry(failed, reason="no such file")):
        found = over_seeds([*entries[:2], third])
        assert found["fno"].value is None and found["fno"].high is None
        assert 0.1 <= found["fno"].low <= 0.2


def test_a_surrogate_in_a_precision_it_would_not_compute_in_is_refused():
    with pytest.raises(ValueError, match=r"float32 or bfloat16, got dtype \['float64'\]"):
        SavedSurrogate("none.safetensors", dtype=["float32", "float64"])


def test_never_is_not_said_where_no_solver_is_as_accurate():
    fixed = FixedCost(1.0, 2.0, None, 3.0, None, None, {})
    cost = Cost(1, [1.0], 1.0, 1.0, 1.0, 0.0)
    net = SettingResult(
        "net", "net", "surrogate", {}, "", [0.1] * 40, 0.1, 0.1, [cost], fixed, 1, {}, [], [], [], [], None
    )
    dearer = Ratio(0.5, 0.4, 0.6, "at least", ["solver"])
    slow = Compared("net", 0, "median", 0.1, 1.0, dearer, dearer, 0.5, dearer, None, None)
    said = verdict(net, [slow], [net], "a machine")
    assert "is open: no solver setting is as accurate" in said and "solver, whose error is 2 times larger" in said
    exact = verdict(net, [replace(slow, naive_error_ratio=None)], [net], "a machine")
    assert "solver, whose error is zero" in exact
    known = replace(slow, equal_accuracy=replace(dearer, bound="about"))
    assert "It never earns back" in verdict(net, [known], [net], "a machine")
    large = replace(net, reason="batch 64: out of memory")
    said = verdict(large, [slow], [large], "a machine")
    assert said.startswith("At its median relative error") and "It failed at a size: batch 64: out of memory." in said
    assert verdict(large, [], [large], "a machine") == "net failed: batch 64: out of memory."


def test_coefficients_move_as_what_they_stand_for():
    """A smooth source on twice the points has no modes that its own grid lacks; cells repeat."""
    smooth = Draw(pde=Poisson(), shape=[16, 16], dt=0.0, n_steps=1, n_samples=2).at([32, 32]).params.fields
    modes = torch.fft.rfft2(smooth).abs()
    assert modes[..., 9:24, :].max() < 1e-10 * modes.max() and modes[..., 9:].max() < 1e-10 * modes.max()
    draw = Draw(pde=Darcy(), shape=[8, 8], dt=0.0, n_steps=1, n_samples=2)
    cells = draw.at().params.fields.repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert torch.equal(draw.at([16, 16]).params.fields, cells)


def test_files_of_other_distributions_hold_other_samples():
    def document(viscosity: float, draw: dict[str, object] | None = None) -> Document:
        drawn = {"equation": "burgers", "grid": [32], "dt": 0.1, "n_steps": 2, "n_samples": 4, "seed": 1}
        others = {"title": "", "load_before": 0.0, "load_after": 0.0, "machine": {}, "front": {}, "over_seeds": {}}
        none = ("verdicts", "settings", "comparisons", "transfer", "out_of_range", "batch_sizes")
        truth = TruthRecord(1e-6, 1e-7, "net", 0.1, [32], 1, 1.0, [])
        parameters = {"viscosity": [viscosity, viscosity]}
        result = Result(truth=truth, parameters=parameters, **drawn, **others, **{name: [] for name in none})
        return Document({} if draw is None else {"configuration": {"benchmark": {"draw": draw}}}, result)

    assert document(0.1).samples == document(0.1).samples != document(0.2).samples
    loud, quiet = ({"device": device, "pde": {"sigma": s}} for device, s in (("cpu", 2.0), ("cpu", 1.0)))
    assert document(0.1, loud).samples != document(0.1, quiet).samples
    assert document(0.1, loud).samples == document(0.1, {**loud, "device": "cuda"}).samples


def test_a_truth_judges_nobody_who_comes_near_it():
    u = torch.ones(2, 3, 1, 4, dtype=torch.float64)
    truth = Solution(u, torch.tensor([1e-5, 1e-3], dtype=torch.float64), SolveCost((4,), 1, 3, 0.0))
    assert median_error(lambda: 1.02 * u[:, 1:], truth, 10.0) == (pytest.approx(0.02), "")
    error, reason = median_error(lambda: 1.005 * u[:, 1:], truth, 10.0)
    assert error is None and "10 times the truth's own error" in reason


def test_errors_are_told_apart_by_what_varies():
    draw = Draw(pde=Burgers(), shape=[16], dt=0.1, n_steps=1, n_samples=8)
    errors = torch.arange(8, dtype=torch.float64)
    assert len(bins(errors, draw.at())) == 4
    work = draw.at()
    same = replace(work, params=replace(work.params, scalars=torch.full_like(work.params.scalars, 0.01)))
    assert bins(errors, same) == []
