"""Converted files hold the original numbers, and nothing about a file is guessed that it does not say."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from duhamel.datasets.convert import main
from duhamel.datasets.described import Named
from duhamel.datasets.formats import open_source
from duhamel.fields import Boundary, Centring


def run(*arguments: object) -> None:
    main([str(a) for a in arguments])


PERIODIC_WAVE = ("--boundary", "periodic", "--centring", "node", "--extent", "1", "--dt", "0.5")


@pytest.fixture
def wave() -> np.ndarray:
    """Three trajectories of four states on five points."""
    return np.random.default_rng(0).standard_normal((3, 4, 5))


def states(path: Path) -> np.ndarray:
    source = open_source(path)
    return np.stack([source.read(i, 0, source.n_times) for i in range(source.n_trajectories)])


@pytest.mark.parametrize("kind", ["pt", "npy", "npz", "mat-v5", "mat-v7.3", "hdf5"])
def test_every_kind_of_file_gives_the_same_numbers(tmp_path: Path, wave: np.ndarray, kind: str) -> None:
    # The extension says nothing: content decides.
    path, out, name = tmp_path / "data.bin", tmp_path / "out.hdf5", "sol"
    viscosity = np.array([0.1, 0.2, 0.3])
    stored = {"sol": wave, "nu": viscosity}
    if kind == "pt":
        torch.save({k: torch.from_numpy(v) for k, v in stored.items()}, path)
    elif kind == "npy":
        name = "array"
        with path.open("wb") as file:
            np.save(file, wave)
    elif kind == "npz":
        with path.open("wb") as file:
            np.savez(file, **stored)
    elif kind == "mat-v5":
        scipy.io.savemat(path, stored, appendmat=False)
    elif kind == "mat-v7.3":
        with h5py.File(path, "w", userblock_size=512) as file:
            for key, value in stored.items():
                file[key] = np.atleast_2d(value).T  # MATLAB writes columns first: the shape reversed
        with path.open("r+b") as binary:
            binary.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116))
    else:
        with h5py.File(path, "w") as file:
            for key, value in stored.items():
                file[key] = value
    scalar = "0.25" if kind == "npy" else "nu"
    channel = f"u={name}:btx"
    run(path, out, "--channel", channel, "--scalar", f"nu={scalar}", *PERIODIC_WAVE, "--dtype", "float64")
    source = open_source(out)
    assert np.array_equal(states(out)[:, :, 0], wave)
    assert source.scalars[:, 0].tolist() == ([0.25] * 3 if kind == "npy" else viscosity.tolist())
    assert source.problem.dt == 0.5 and source.problem.grid.spacing == (0.2,)


def test_axes_may_come_in_any_order(tmp_path: Path, wave: np.ndarray) -> None:
    two = np.stack([wave, 2 * wave])  # c b t x
    np.save(tmp_path / "a.npy", two.transpose(3, 2, 0, 1))  # x t c b
    run(tmp_path / "a.npy", tmp_path / "o.hdf5", "--channel", "u,v=array:xtcb", *PERIODIC_WAVE)
    assert np.array_equal(states(tmp_path / "o.hdf5"), two.transpose(1, 2, 0, 3).astype(np.float32))
    assert [q.name for q in open_source(tmp_path / "o.hdf5").problem.channels] == ["u", "v"]


def test_neuraloperator_darcy_is_recognised_and_equal(tmp_path: Path, shared_data: Path) -> None:
    path = shared_data / "neuraloperator" / "darcy_train_16.pt"
    run(path, tmp_path / "o.hdf5")
    run(shared_data / "neuraloperator" / "darcy_test_32.pt", tmp_path / "fine.hdf5", "--values", "0.02", "0.35")
    original = torch.load(path, weights_only=True)
    source, fine = open_source(tmp_path / "o.hdf5"), open_source(tmp_path / "fine.hdf5")
    assert source.problem.steady and source.n_trajectories == 1000 and source.n_times == 2
    u = states(tmp_path / "o.hdf5")
    assert np.array_equal(u[:, 1, 0], original["y"].numpy()) and not u[:, 0].any()
    a = np.stack([source.read_coefficients(i)[0] for i in range(1000)])
    assert np.array_equal(a, original["x"].float().numpy())
    assert source.problem.grid.centring is Centring.NODE and source.problem.grid.boundary == (Boundary.DIRICHLET,) * 2
    assert source.problem.grid.spacing == pytest.approx((26 / 420, 26 / 420), rel=1e-14)
    assert fine.problem.grid.spacing == pytest.approx((13 / 420, 13 / 420), rel=1e-14)
    assert set(np.unique(fine.read_coefficients(0))) == {np.float32(0.02), np.float32(0.35)}
    provenance = json.loads(h5py.File(tmp_path / "o.hdf5").attrs["provenance"])
    assert provenance["estimated_error"] is None and provenance["source"] == "darcy_train_16.pt"
    assert len(provenance["sha256"]) == 64 and str(shared_data) not in provenance["conversion"]


def test_apebench_is_recognised_by_its_sidecar(tmp_path: Path, shared_data: Path) -> None:
    path = shared_data / "apebench" / "diff_burgers_1d_train.npy"
    run(path, tmp_path / "o.hdf5")
    assert np.array_equal(states(tmp_path / "o.hdf5"), np.load(path))
    grid = open_source(tmp_path / "o.hdf5").problem.grid
    assert grid.coordinates()[0][0] == 0 and grid.spacing == (1 / 64,) and grid.periodic == (True,)


def test_burgers_shock_keeps_coordinates_times_and_values(tmp_path: Path, shared_data: Path) -> None:
    path = shared_data / "reference" / "burgers_shock.mat"
    run(
        path, tmp_path / "o.hdf5", "--channel", "velocity=usol:xt", "--time", "t", "--coordinate", "x=x",
        "--boundary", "dirichlet", "--centring", "node", "--scalar", f"viscosity={0.01 / np.pi}",
        "--equation", "burgers", "--dtype", "float64",
    )  # fmt: skip
    original = scipy.io.loadmat(path)
    source = open_source(tmp_path / "o.hdf5")
    assert np.array_equal(states(tmp_path / "o.hdf5")[0, :, 0], original["usol"].T)
    # The reader takes the shortest decimal within float32 rounding of a step for the step.
    assert np.allclose(source.problem.grid.coordinates()[0], original["x"].ravel(), atol=1e-6)
    assert source.problem.dt == pytest.approx(0.01, rel=1e-12)
    assert source.problem.equation == "burgers" and source.scalars[0, 0] == pytest.approx(0.01 / np.pi, rel=1e-15)


def test_a_repeated_end_is_left_out_where_asked(tmp_path: Path, shared_data: Path) -> None:
    path = shared_data / "reference" / "KS.mat"
    run(
        path, tmp_path / "o.hdf5", "--channel", "u=uu:xt", "--time", "tt", "--coordinate", "x=x",
        "--boundary", "periodic", "--centring", "node", "--drop-end", "x",
    )  # fmt: skip
    original = scipy.io.loadmat(path)
    grid = open_source(tmp_path / "o.hdf5").problem.grid
    assert grid.shape == (512,) and grid.extent[0] == pytest.approx(np.ptp(original["x"]), rel=1e-6)
    assert np.array_equal(states(tmp_path / "o.hdf5")[0, :, 0], original["uu"].T[:, :-1].astype(np.float32))


def test_published_hdf5_converts_to_what_its_reader_reads(tmp_path: Path, shared_data: Path) -> None:
    for name in ("1D_Burgers_Sols_Nu0.01.hdf5", "2D_DarcyFlow_beta1.0_Train.hdf5", "1D_diff-sorp_NA_NA.h5"):
        source = open_source(shared_data / "pdebench" / name)
        run(shared_data / "pdebench" / name, tmp_path / name)
        converted = open_source(tmp_path / name)
        assert converted.problem == source.problem
        assert np.array_equal(converted.scalars, source.scalars)
        for i in (0, source.n_trajectories - 1):
            assert np.array_equal(converted.read(i, 0, source.n_times), source.read(i, 0, source.n_times))
            assert np.array_equal(converted.read_coefficients(i), source.read_coefficients(i))


def test_what_the_file_does_not_say_is_asked_for_all_at_once(tmp_path: Path, wave: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", wave)
    with pytest.raises(SystemExit) as error:
        run(tmp_path / "a.npy", tmp_path / "o.hdf5", "--channel", "u=array:btx")
    for option in ("--boundary", "--centring", "--extent", "--dt", "array (3, 4, 5) float64"):
        assert option in str(error.value)
    with pytest.raises(SystemExit, match="--channel"):
        run(tmp_path / "a.npy", tmp_path / "o.hdf5")
    assert not (tmp_path / "o.hdf5").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--channel", "u=array:tx"), "shape"),
        (("--channel", "u=other:btx"), "absent"),
        (("--channel", "u,v=array:bcx", "--steady"), "4 components"),
        (("--channel", "u=array:btx", "--scalar", "nu=array"), "60 values"),
        (("--channel", "u=array:btx", "--unit", "w=m"), "units"),
        (("--channel", "u=array:btx", "--equation", "burgers"), "velocity"),
        (("--channel", "u=array:btx", "--equation", "burgars"), "unknown equation"),
        (("--channel", "u=array:btx", "--coordinate", "x=array"), "one or the other"),
        (("--channel", "u=array:btx", "--drop-end", "y"), "no channel"),
        (("--channel", "u=array:btq",), "letters"),
    ],
)  # fmt: skip
def test_descriptions_that_do_not_fit_are_refused(
    tmp_path: Path, wave: np.ndarray, options: tuple[str, ...], complaint: str
) -> None:
    np.save(tmp_path / "a.npy", wave)
    rest = PERIODIC_WAVE[:-2] if "--steady" in options else PERIODIC_WAVE
    with pytest.raises(SystemExit, match=complaint):
        run(tmp_path / "a.npy", tmp_path / "o.hdf5", *options, *rest)


def test_unequal_steps_are_refused(tmp_path: Path, wave: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", u=wave, t=np.array([0.0, 1.0, 2.0, 4.0]))
    with pytest.raises(SystemExit, match="equal steps"):
        run(tmp_path / "a.npz", tmp_path / "o.hdf5", "--channel", "u=u:btx", *PERIODIC_WAVE[:-2], "--time", "t")


def test_pickled_code_in_a_data_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"x": Named}, tmp_path / "evil.pt")
    with pytest.raises(SystemExit, match="evil.pt: damaged, or holds Python objects besides tensors"):
        run(tmp_path / "evil.pt", tmp_path / "o.hdf5")


def test_provenance_is_not_lost_by_converting_twice(tmp_path: Path, wave: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", wave)
    run(tmp_path / "a.npy", tmp_path / "o.hdf5", "--channel", "u=array:btx", *PERIODIC_WAVE)
    with pytest.raises(SystemExit, match="our layout already"):
        run(tmp_path / "o.hdf5", tmp_path / "again.hdf5")
