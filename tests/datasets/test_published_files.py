"""Real files of the benchmarks say what the reader says they say: physics decides, not the reader's own tables."""

from pathlib import Path

import numpy as np
import pytest

from duhamel.datasets import open_source
from duhamel.datasets.arrays import ArraySource


def states(source: ArraySource) -> np.ndarray:
    u = np.stack([source.read(i, 0, source.n_times) for i in range(source.n_trajectories)]).astype(np.float64)
    assert np.isfinite(u).all()
    return u


@pytest.mark.parametrize("nu", [0.01, 0.1])
def test_burgers_dissipates_at_the_stated_viscosity(shared_data: Path, nu: float) -> None:
    """d/dt int u^2/2 = -nu int u_x^2; the file's Nu instead of Nu/pi would be off by a factor of 3."""
    source = open_source(shared_data / "pdebench" / f"1D_Burgers_Sols_Nu{nu}.hdf5")
    assert (source.n_trajectories, source.n_times, source.problem.dt) == (64, 201, 0.01)
    u = states(source)[:, :, 0]
    energy = (u**2).mean(axis=-1) / 2
    k = 2 * np.pi * np.fft.rfftfreq(128, 1 / 128)
    u_x = np.fft.irfft(1j * k * np.fft.rfft(u), 128)
    dissipated = (u_x**2).mean(axis=-1)
    # Past the shocks' formation; the trapezoidal rule needs frames that do not differ much.
    late = slice(100, 201)
    loss = energy[:, 100] - energy[:, 200]
    estimate = loss.sum() / (np.trapezoid(dissipated[:, late], dx=source.problem.dt, axis=1).sum())
    assert source.problem.equation == "burgers"
    np.testing.assert_allclose(estimate, source.scalars[0, 0], rtol=0.05)


@pytest.mark.parametrize("beta", [0.1, 0.4])
def test_advection_moves_at_the_stated_speed(shared_data: Path, beta: float) -> None:
    source = open_source(shared_data / "pdebench" / f"1D_Advection_Sols_beta{beta}.hdf5")
    u_hat = np.fft.rfft(states(source)[:, :, 0])[..., 1]
    strong = np.abs(u_hat[:, 0]) > 1e-2 * np.abs(u_hat[:, 0]).max()
    turned = np.unwrap(np.angle(u_hat[strong]), axis=1)
    speed = -(turned[:, -1] - turned[:, 0]) / (2 * np.pi * 200 * source.problem.dt)
    np.testing.assert_allclose(np.median(speed), source.scalars[0, 0], rtol=0.01)
    assert source.problem.equation == "advection" and source.scalars[0, 0] == beta


def test_reaction_diffusion_grows_at_the_stated_rate(shared_data: Path) -> None:
    """d/dt int u = rho int u (1 - u) on a periodic domain, whatever the diffusivity."""
    source = open_source(shared_data / "pdebench" / "ReacDiff_Nu0.5_Rho1.0.hdf5")
    u = states(source)[:, :, 0]
    grown = u[:, -1].mean() - u[:, 0].mean()
    reacted = np.trapezoid((u * (1 - u)).mean(axis=(0, 2)), dx=source.problem.dt)
    np.testing.assert_allclose(grown / reacted, source.scalars[0, 1], rtol=1e-3)
    np.testing.assert_array_equal(source.scalars, [[0.5, 1.0]] * 64)


@pytest.mark.parametrize(
    ("name", "shape", "extent", "scalars"),
    [
        ("1D_CFD_rand_Eta1e-08_Zeta1e-08_periodic_Train.hdf5", (24, 101, 3, 128), (2.0,), (1e-8, 1e-8)),
        (
            "2D_CFD_rand_Eta0.01_Zeta0.01_M0.1_periodic_Train.hdf5",
            (12, 21, 4, 32, 32),
            (1.0, 1.0),
            (0.01, 0.01, 0.1),
        ),
    ],
)
def test_compressible_flow_conserves_mass(
    shared_data: Path, name: str, shape: tuple[int, ...], extent: tuple[float, ...], scalars: tuple[float, ...]
) -> None:
    source = open_source(shared_data / "pdebench" / name)
    u = states(source)
    assert u.shape == shape and source.problem.grid.extent == extent
    np.testing.assert_allclose(source.scalars, [scalars] * shape[0])
    mass = u[:, :, 0].mean(axis=tuple(range(2, u.ndim - 1)))
    np.testing.assert_allclose(mass, np.broadcast_to(mass[:, :1], mass.shape), rtol=1e-4)
    assert (u[:, :, :2] > 0).all(), "density and pressure come first"


def test_darcy_balances_its_forcing(shared_data: Path) -> None:
    """int a |grad u|^2 = beta int u, with face means of a and u = 0 in the centres of ghost cells around the grid.

    The median, because some labels are not yet steady.
    """
    source = open_source(shared_data / "pdebench" / "2D_DarcyFlow_beta1.0_Train.hdf5")
    assert (source.n_trajectories, source.n_times, source.problem.dt) == (300, 2, 0.0)
    u = np.pad(states(source)[:, 1, 0], ((0, 0), (1, 1), (1, 1)))
    a = np.stack([source.read_coefficients(i)[0] for i in range(300)]).astype(np.float64)
    np.testing.assert_allclose(np.unique(a), [0.1, 1.0], rtol=1e-6)
    a = np.pad(a, ((0, 0), (1, 1), (1, 1)), mode="edge")
    h = source.problem.grid.spacing[0]
    along_x = (a[:, 1:, 1:-1] + a[:, :-1, 1:-1]) / 2 * np.diff(u[:, :, 1:-1], axis=1) ** 2
    along_y = (a[:, 1:-1, 1:] + a[:, 1:-1, :-1]) / 2 * np.diff(u[:, 1:-1], axis=2) ** 2
    work = (along_x.sum(axis=(1, 2)) + along_y.sum(axis=(1, 2))) / (u.sum(axis=(1, 2)) * h**2)
    np.testing.assert_allclose(np.median(work), source.scalars[0, 0], rtol=0.01)


def test_diffusion_reaction_satisfies_its_equation_on_its_grid_only(shared_data: Path) -> None:
    """v_t = Dv lap v + u - v with spacings (1/16, 1/24); the spacings exchanged, it does not."""
    source = open_source(shared_data / "pdebench" / "2D_diff-react_nonsquare_NA.h5")
    assert source.problem.grid.shape == (32, 48)
    w = states(source)
    u, v = w[:, 40:60, 0], w[:, 40:60, 1]
    v_t = (v[:, 2:] - v[:, :-2]) / (2 * source.problem.dt)

    def residual(h: tuple[float, ...]) -> float:
        inner, middle = slice(1, -1), (slice(None), slice(1, -1))
        lap = sum(
            (np.roll(v, 1, axis) - 2 * v + np.roll(v, -1, axis)) / side**2 for axis, side in zip((2, 3), h, strict=True)
        )
        right = source.scalars[0, 1] * lap + u - v
        difference = (v_t - right[middle])[:, :, inner, inner]
        return float(np.sqrt((difference**2).mean() / (v_t**2).mean()))

    hx, hy = source.problem.grid.spacing
    assert residual((hx, hy)) < 0.02
    assert residual((hy, hx)) > 10 * residual((hx, hy))


def test_each_dam_has_the_radius_its_seed_states(shared_data: Path) -> None:
    source = open_source(shared_data / "pdebench" / "2D_rdb_nonsquare_NA.h5")
    assert source.problem.grid.shape == (32, 48) and source.problem.grid.extent == (5.0, 5.0)
    hx, hy = source.problem.grid.spacing
    high = states(source)[:, 0, 0] > 1.5
    x, y = np.meshgrid(*(axis.numpy() for axis in source.problem.grid.coordinates()), indexing="ij")
    radii = source.scalars[:, 1]
    assert len(set(radii)) == 3
    for wet, radius in zip(high, radii, strict=True):
        r = np.hypot(x, y)
        assert wet[r < radius - max(hx, hy)].all() and not wet[r > radius + max(hx, hy)].any()


def test_diffusion_sorption(shared_data: Path) -> None:
    source = open_source(shared_data / "pdebench" / "1D_diff-sorp_NA_NA.h5")
    assert states(source).shape == (16, 101, 1, 128) and source.problem.dt == 5.0
    np.testing.assert_allclose(source.scalars[3], [0.0005, 0.29, 2880, 0.00035, 0.874, 1.0])


def test_incompressible_flow(shared_data: Path) -> None:
    source = open_source(shared_data / "pdebench" / "ns_incom_inhom_2d_32-0.h5")
    u = states(source)
    assert u.shape == (2, 20, 3, 32, 32) and source.problem.dt == 0.05
    assert source.read_coefficients(1).shape == (2, 32, 32) and source.read_coefficients(1).any()
    np.testing.assert_array_equal(source.scalars, [[0.01], [0.01]])


@pytest.mark.filterwarnings("ignore:.*time_varying_scalar:UserWarning")
def test_the_well(shared_data: Path) -> None:
    source = open_source(shared_data / "the_well" / "dummy_placeholder" / "data" / "train" / "dummy.hdf5")
    assert states(source).shape == (2, 10, 2, 32, 32)
    assert [q.name for q in source.problem.channels] == ["field_x", "field_y"]
    assert [q.name for q in source.problem.coefficients] == ["constant_field"]
    np.testing.assert_array_equal(source.scalars, [[0.25, 0.75]] * 2)


def test_pdearena_by_a_mapping(shared_data: Path) -> None:
    source = open_source(
        shared_data / "pdearena" / "NavierStokes2D_train_42_0.50000_4.h5",
        mapping={
            "axes": ["sample", "time", "x", "y"],
            "channels": {"smoke": "train/u", "velocity_x": "train/vx", "velocity_y": "train/vy"},
            "scalars": {"buoyancy": "train/buo_y"},
            "grid": {a: {"from": 0, "to": 32, "boundary": "wall"} for a in ("x", "y")},
            "centring": "cell",
            "dt": 6.0,
        },
    )
    u = states(source)
    assert u.shape == (4, 14, 3, 32, 32) and source.dtype == np.float64
    np.testing.assert_array_equal(source.scalars, [[0.5]] * 4)
    # Velocities lie on the cells' lower faces: forward differences of them are free of divergence.
    divergence = np.diff(u[:, :, 1], axis=2)[..., :-1] + np.diff(u[:, :, 2], axis=3)[:, :, :-1]
    assert np.abs(divergence).max() < 1e-3 * np.abs(u[:, :, 1:]).max()
