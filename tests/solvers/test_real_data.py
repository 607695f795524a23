"""Reference solvers against trajectories that others computed, each by its own method."""

import math
from pathlib import Path

import h5py
import pytest
import scipy.io
import torch
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, Parameters
from duhamel.pdes import Advection, Burgers, KuramotoSivashinsky
from duhamel.solvers import reference_trajectory


def file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return path


def circle(n: int, length: float, centring: Centring, origin: float = 0.0) -> Grid:
    return Grid(shape=(n,), extent=(length,), boundary=(Boundary.PERIODIC,), centring=centring, origin=(origin,))


def relative(u: Tensor, truth: Tensor) -> float:
    return float((u - truth).norm() / truth.norm())


def scalars(value: float, batch: int, n: int) -> Parameters:
    return Parameters(torch.full((batch, 1), value, dtype=torch.float64), torch.zeros(batch, 0, n, dtype=torch.float64))


def pdebench(path: Path, n_samples: int, n_times: int) -> Tensor:
    with h5py.File(path) as opened:
        return torch.from_numpy(opened["tensor"][:n_samples, :n_times]).double().unsqueeze(2)


# The bounds are the errors of the files: ours do not change in the third digit at refine=16, substeps=4.
@pytest.mark.parametrize(("name", "bound"), [("0.1", 1e-3), ("0.01", 1e-2)])
def test_pdebench_burgers_with_viscosity_over_pi(shared_data: Path, name: str, bound: float) -> None:
    u = pdebench(file(shared_data, f"pdebench/1D_Burgers_Sols_Nu{name}.hdf5"), 4, 51)
    grid = circle(128, 1.0, Centring.CELL)

    def solve(viscosity: float) -> Tensor:
        params = scalars(viscosity, 4, 128)
        return reference_trajectory(Burgers(), u[:, 0], params, grid, 0.01, 50, refine=8, substeps=2)

    assert relative(solve(float(name) / math.pi), u) < bound
    assert relative(solve(float(name)), u) > 5 * bound, "the files' viscosity is their Nu divided by pi"


def test_pdebench_advection(shared_data: Path) -> None:
    u = pdebench(file(shared_data, "pdebench/1D_Advection_Sols_beta0.4.hdf5"), 8, 101)
    grid = circle(128, 1.0, Centring.CELL)
    error = relative(reference_trajectory(Advection(), u[:, 0], scalars(0.4, 8, 128), grid, 0.01, 100), u)
    assert error < 0.1
    assert relative(reference_trajectory(Advection(), u[:, 0], scalars(0.1, 8, 128), grid, 0.01, 100), u) > 5 * error


def test_burgers_shock(shared_data: Path) -> None:
    """nu = 0.01 / pi, u0 = -sin(pi x) on [-1, 1]: odd, so zero at both ends is the periodic problem."""
    content = scipy.io.loadmat(file(shared_data, "reference/burgers_shock.mat"))
    truth = torch.from_numpy(content["usol"].T.copy()).reshape(1, 100, 1, 256)[..., :-1]
    grid = circle(255, 2.0, Centring.NODE, origin=-1.0)
    u0 = -torch.sin(math.pi * grid.coordinates()[0]).reshape(1, 1, -1)
    n_steps = 60
    u = reference_trajectory(Burgers(), u0, scalars(0.01 / math.pi, 1, 255), grid, 0.01, n_steps, refine=16, substeps=8)
    assert relative(u, truth[:, : n_steps + 1]) < 1e-6


def test_kuramoto_sivashinsky(shared_data: Path) -> None:
    """u_t + (5 / pi) u u_x + (5 / (3 pi^2)) u_xx + (5 / (27 pi^4)) u_xxxx = 0 on [-1, 1].

    That is the standard equation in 3 pi x and 15 t, with the same u.
    """
    content = scipy.io.loadmat(file(shared_data, "reference/KS.mat"))
    truth = torch.from_numpy(content["uu"].T.copy())[:, :-1].reshape(1, 201, 1, 512)
    grid = circle(512, 6 * math.pi, Centring.NODE)
    pde = KuramotoSivashinsky()
    u = reference_trajectory(pde, truth[:, 0], scalars(1.0, 1, 512), grid, 15 * 0.005, 200, substeps=16)
    assert relative(u, truth) < 1e-9
