"""The doctor names each planted defect, and lets sound files pass."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from duhamel.datasets.checks import SUDDEN
from duhamel.datasets.doctor import examine, main
from duhamel.datasets.equation_check import equation
from duhamel.datasets.findings import Verdict
from duhamel.datasets.formats import open_source
from duhamel.datasets.generate import generate
from duhamel.datasets.provenance import ForeignProvenance
from duhamel.datasets.recipe import Recipe
from duhamel.datasets.survey import sudden_change
from duhamel.datasets.writer import Writer
from duhamel.fields import Parameters, Problem
from duhamel.pdes import Advection, Burgers, Darcy

PDE = Advection()
GRID = PDE.grid((32,))
DT = 0.02


@dataclass
class Data:
    """Exact solutions of u_t + c u_x = 0: two travelling waves of random phase."""

    u: torch.Tensor
    speed: torch.Tensor
    problem: Problem

    def save(self, path: Path) -> Path:
        provenance = ForeignProvenance(
            problem=self.problem, source="exact", sha256="0" * 64, conversion="none", error_statement="exact",
            command="test",
        )  # fmt: skip
        n, n_times = self.u.shape[:2]
        with Writer(path, provenance, n_trajectories=n, n_times=n_times) as writer:
            writer.append(self.u, Parameters(self.speed.unsqueeze(1), torch.zeros(n, 0, 32, dtype=torch.float64)))
        return path


def waves(n: int = 20, seed: int = 0) -> Data:
    generator = torch.Generator().manual_seed(seed)
    speed = 0.5 + torch.rand(n, generator=generator, dtype=torch.float64)
    phase = torch.rand(n, 2, generator=generator, dtype=torch.float64)
    x = GRID.coordinates()[0]
    y = x - (speed[:, None] * DT * torch.arange(24))[..., None]
    u = sum(torch.sin(2 * math.pi * (k + 1) * y + 6 * phase[:, k, None, None]) for k in range(2))
    assert isinstance(u, torch.Tensor)
    return Data(u.unsqueeze(2), speed, PDE.problem(GRID, DT))


def verdicts(*paths: Path) -> dict[str, Verdict]:
    """By check; of several files the last."""
    return {f.check: f.verdict for findings in examine(paths).values() for f in findings}


def test_a_sound_file_passes_every_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = waves().save(tmp_path / "sound.hdf5")
    assert verdicts(path) == {
        "finite values": Verdict.OK,
        "fields vary": Verdict.OK,
        "no duplicates": Verdict.OK,
        "time axis": Verdict.OK,
        "no jumps": Verdict.OK,
        "equation": Verdict.OK,
        "provenance": Verdict.OK,
        "parameter speed": Verdict.OK,
        "train and test differ": Verdict.OK,
    }
    main([str(path)])
    assert "fit to train on" in capsys.readouterr().out


def plant_nan(data: Data) -> None:
    data.u[3, 5, 0, 7] = torch.nan


def plant_infinity(data: Data) -> None:
    data.u[3, 5, 0, 7] = torch.inf


def plant_constant_channel(data: Data) -> None:
    data.u[:] = 1.5


def plant_repeated_trajectory(data: Data) -> None:
    data.u[11], data.speed[11] = data.u[2], data.speed[2]


def plant_leak(data: Data) -> None:
    # Initial states in pairs: of the four held-out trajectories some have their twin in training.
    data.u[10:, 0] = data.u[:10, 0]


def plant_foreign_state(data: Data) -> None:
    data.u[4, 12] = data.u[9, 3]


def plant_wrong_speed(data: Data) -> None:
    data.speed *= 3


def plant_wrong_dt(data: Data) -> None:
    data.problem = replace(data.problem, dt=DT * 5)


def plant_nan_parameter(data: Data) -> None:
    data.speed[6] = torch.nan


@pytest.mark.parametrize(
    ("plant", "check"),
    [
        (plant_nan, "finite values"),
        (plant_infinity, "finite values"),
        (plant_constant_channel, "fields vary"),
        (plant_repeated_trajectory, "no duplicates"),
        (plant_leak, "train and test differ"),
        (plant_foreign_state, "no jumps"),
        (plant_wrong_speed, "equation"),
        (plant_wrong_dt, "equation"),
        (plant_nan_parameter, "parameter speed"),
    ],
)
def test_each_planted_defect_fails_its_own_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], plant: Callable[[Data], None], check: str
) -> None:
    data = waves()
    plant(data)
    path = data.save(tmp_path / "bad.hdf5")
    assert verdicts(path)[check] is Verdict.FAIL
    with pytest.raises(SystemExit) as stop:
        main([str(path)])
    assert stop.value.code == 1
    # The console breaks lines where it likes.
    assert check in " ".join(capsys.readouterr().out.split()).split("not fit to train on")[1]


def test_the_place_of_a_defect_is_named(tmp_path: Path) -> None:
    data = waves()
    plant_nan(data)
    details = {f.check: f.detail for f in examine([data.save(tmp_path / "f.hdf5")])[str(tmp_path / "f.hdf5")]}
    assert "trajectory 3, state 5" in details["finite values"] and "1 values" in details["finite values"]
    data = waves()
    plant_foreign_state(data)
    details = {f.check: f.detail for f in examine([data.save(tmp_path / "g.hdf5")])[str(tmp_path / "g.hdf5")]}
    assert "trajectory 4, state 12" in details["no jumps"] or "trajectory 4, state 13" in details["no jumps"]


@pytest.mark.parametrize("defect", ["length", "step", "unequal"])
def test_times_that_contradict_the_states_fail(tmp_path: Path, defect: str) -> None:
    path = waves().save(tmp_path / "f.hdf5")
    with h5py.File(path, "r+") as file:
        times = file["dimensions/time"][...]
        attributes = dict(file["dimensions/time"].attrs)
        del file["dimensions/time"]
        times = {"length": times[:-1], "step": 2 * times, "unequal": times**2}[defect]
        file["dimensions"].create_dataset("time", data=times).attrs.update(attributes)
    assert verdicts(path)["time axis"] is Verdict.FAIL


def test_one_parameter_value_is_a_warning_over_all_files_together(tmp_path: Path) -> None:
    slow, fast = waves(seed=1), waves(seed=2)
    slow.speed[:], fast.speed[:] = 0.5, 1.0
    paths = [slow.save(tmp_path / "slow.hdf5"), fast.save(tmp_path / "fast.hdf5")]
    assert verdicts(paths[0])["parameter speed"] is Verdict.WARN
    assert verdicts(*paths)["parameter speed"] is Verdict.OK


def test_files_that_share_initial_states_leak_only_where_their_order_differs(tmp_path: Path) -> None:
    first = waves()
    same = replace(first, u=first.u.clone(), speed=first.speed + 1)
    shuffled = replace(first, u=first.u.roll(1, 0), speed=first.speed + 1)
    a = first.save(tmp_path / "a.hdf5")
    check = "train and test differ"
    assert verdicts(a, same.save(tmp_path / "b.hdf5"))[check] is Verdict.OK
    assert verdicts(a, shuffled.save(tmp_path / "c.hdf5"))[check] is Verdict.FAIL


def test_a_file_without_provenance_is_a_warning_and_an_unreadable_one_a_failure(tmp_path: Path) -> None:
    path = waves().save(tmp_path / "f.hdf5")
    with h5py.File(path, "r+") as file:
        del file.attrs["provenance"]
    assert verdicts(path)["provenance"] is Verdict.WARN
    (tmp_path / "text.hdf5").write_text("no")
    assert verdicts(tmp_path / "text.hdf5") == {"readable": Verdict.FAIL}
    assert verdicts(tmp_path / "absent.hdf5") == {"readable": Verdict.FAIL}


def test_generated_files_pass(tmp_path: Path) -> None:
    common = {"n_samples": 12, "seed": 0, "batch_size": 8, "error_samples": 1}
    for name, pde, shape, how in (
        ("b.hdf5", Burgers(), (64,), {"dt": 0.02, "n_steps": 12, "refine": 8, "substeps": 8}),
        ("d.hdf5", Darcy(), (16, 16), {"dt": 0.0, "n_steps": 1, "refine": 2, "substeps": 1}),
    ):
        generate(Recipe(pde=pde, grid=pde.grid(shape), **common, **how), tmp_path / name, command="test")  # type: ignore[arg-type]
    for name in ("b.hdf5", "d.hdf5"):
        found = verdicts(tmp_path / name)
        assert set(found.values()) <= {Verdict.OK, Verdict.SKIPPED}, found
        assert found["equation"] is Verdict.OK and found["provenance"] is Verdict.OK


def test_a_decay_from_a_rough_state_is_no_jump_but_a_foreign_state_in_it_is() -> None:
    t = np.arange(30.0)[:, None, None]
    decay = np.exp(-t / 3) * np.ones((1, 1, 8))
    settling, later = sudden_change(decay)
    assert settling.max() < SUDDEN and not later.any()
    # Several states long and far above what follows, but falling: the start of a diffusive evolution.
    fast = decay + 100 * np.exp(-2 * t)
    settling, later = sudden_change(fast)
    assert settling[0] > settling[1] > SUDDEN and not later.any()
    for state in (2, 15, 29):
        for u in (decay.copy(), fast.copy()):
            u[state] += 200
            settling, later = sudden_change(u)
            assert later.argmax() in (state - 1, state) and later.max() > SUDDEN


def test_published_files_pass_and_their_viscosity_is_told_from_its_multiple(shared_data: Path) -> None:
    folder = shared_data / "pdebench"
    names = ("1D_Advection_Sols_beta0.4.hdf5", "1D_Burgers_Sols_Nu0.1.hdf5", "2D_DarcyFlow_beta1.0_Train.hdf5",
             "1D_diff-sorp_NA_NA.h5", "ReacDiff_Nu0.5_Rho1.0.hdf5",
             "1D_CFD_rand_Eta1e-08_Zeta1e-08_periodic_Train.hdf5")  # fmt: skip
    for name in names:
        found = verdicts(folder / name)
        assert Verdict.FAIL not in found.values(), (name, found)
        assert found["provenance"] is Verdict.WARN
    assert verdicts(folder / names[1])["equation"] is Verdict.OK
    source = open_source(folder / names[1])
    wrong = replace(source, scalars=source.scalars * math.pi)
    assert equation(wrong).verdict is Verdict.FAIL


def test_published_parameter_files_share_initial_states_without_leaking(shared_data: Path) -> None:
    paths = [shared_data / "pdebench" / f"1D_Advection_Sols_beta{beta}.hdf5" for beta in ("0.1", "0.4")]
    found = verdicts(*paths)
    assert found["train and test differ"] is Verdict.OK and found["parameter speed"] is Verdict.OK
