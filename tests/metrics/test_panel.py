"""The panel: exact over batches of any size, and honest about what diverged."""

import math

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from duhamel import metrics
from duhamel.fields import Boundary, Centring, Grid, Parameters, Problem, Quantity
from duhamel.metrics import Panel

GRID = Grid(shape=(12, 9), extent=(1.0, 2.0), boundary=(Boundary.PERIODIC, Boundary.NEUMANN), centring=Centring.CELL)
PROBLEM = Problem(
    equation="",
    channels=(Quantity("density"), Quantity("velocity", "m/s")),
    scalars=(Quantity("viscosity"),),
    coefficients=(Quantity("forcing"),),
    grid=GRID,
    dt=0.1,
)
N_STEPS = 5


class Mass:
    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        return {"mass": u[..., 0, :, :].mean((-2, -1))}


def trajectories(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Parameters]:
    """True states with the initial one, predicted states without, parameters."""
    truth = 2 + torch.randn(n, N_STEPS + 1, 2, *GRID.shape, generator=generator, dtype=torch.float64)
    error = torch.randn(truth[:, 1:].shape, generator=generator, dtype=torch.float64)
    scale = torch.rand(n, 1, 1, 1, 1, generator=generator, dtype=torch.float64)
    params = Parameters(
        torch.rand(n, 1, generator=generator, dtype=torch.float64),
        torch.rand(n, 1, *GRID.shape, generator=generator, dtype=torch.float64),
    )
    return truth, truth[:, 1:] + 0.5 * scale * error, params


def fill(panel: Panel, data: tuple[Tensor, Tensor, Parameters], sizes: list[int]) -> Panel:
    truth, prediction, params = data
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        panel.update(prediction[part], truth[part, 1:], initial=truth[part, 0], params=params[part], grid=GRID)
        panel.update_one_step(prediction[part], truth[part, 1:])
        start += size
    assert start == len(truth)
    return panel


def test_figures_do_not_depend_on_the_batch_size(generator: torch.Generator) -> None:
    data = trajectories(7, generator)
    whole = fill(Panel(PROBLEM, pde=Mass()), data, [7])
    for sizes in ([1] * 7, [4, 3], [2, 2, 2, 1]):
        parts = fill(Panel(PROBLEM, pde=Mass()), data, sizes)
        assert parts.compute() == pytest.approx(whole.compute(), rel=1e-13)
        torch.testing.assert_close(parts.curves().error, whole.curves().error)
        torch.testing.assert_close(parts.curves().scalars, data[2].scalars)
        torch.testing.assert_close(parts.samples().index, whole.samples().index)
        torch.testing.assert_close(parts.samples().prediction, whole.samples().prediction)


def test_figures_are_means_of_the_errors(generator: torch.Generator) -> None:
    truth, prediction, params = data = trajectories(4, generator)
    target = truth[:, 1:]
    figures = fill(Panel(PROBLEM, pde=Mass()), data, [3, 1]).compute()
    relative = metrics.relative_l2(prediction, target)
    still = truth[:, :1].expand_as(target)
    drift = metrics.invariant_drift(truth[:, 0], prediction, pde=Mass(), grid=GRID)["mass"]
    expected = {
        "rollout_relative_l2": relative.mean(),
        "rollout_relative_l2_median": relative.sort().values[1:3].mean(),
        "rollout_relative_l2_worst": relative.max(),
        "rollout_relative_l2/velocity": metrics.relative_l2(prediction[:, :, 1:], target[:, :, 1:]).mean(),
        "rollout_nrmse": metrics.nrmse(prediction, target).mean(),
        "rollout_vrmse": metrics.vrmse(prediction, target).mean(),
        "rollout_rmse": metrics.rmse(prediction, target).mean(),
        "rollout_max_error": (prediction - target).abs().max(),
        "rollout_h1": metrics.h1(prediction, target, GRID).mean(),
        "rollout_relative_l2_mid": metrics.relative_l2_by_band(prediction, target, GRID)["mid"].mean(),
        "rollout_drift/mass": drift.amax(1).mean(),
        "rollout_diverged": torch.tensor(0.0),
        "persistence_relative_l2": metrics.relative_l2(still, target).mean(),
        "one_step_persistence_relative_l2": metrics.relative_l2_by_time(truth[:, :-1], target).mean(),
        "one_step_relative_l2": metrics.relative_l2_by_time(prediction, target).mean(),
    }
    assert {name: figures[name] for name in expected} == pytest.approx(
        {name: float(value) for name, value in expected.items()}, rel=1e-13
    )


def test_horizon_and_its_censoring() -> None:
    # Errors of the two samples grow by 0.05 and 0.01 a step: the first passes 0.12 after 2 steps, the second never.
    truth = torch.ones(2, N_STEPS + 1, 2, *GRID.shape, dtype=torch.float64)
    growth = torch.tensor([0.05, 0.01], dtype=torch.float64)[:, None] * torch.arange(1, N_STEPS + 1)
    data = truth, truth[:, 1:] + growth[:, :, None, None, None], Parameters(torch.rand(2, 1), torch.rand(2, 1, 12, 9))
    figures = fill(Panel(PROBLEM, threshold=0.12), data, [2]).compute()
    assert figures["rollout_horizon"] == (2 + N_STEPS) / 2
    assert figures["rollout_horizon_censored"] == 0.5
    assert figures["persistence_relative_l2"] == 0.0
    assert "rollout_drift/mass" not in figures


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_one_diverged_sample_is_not_dropped(bad: float, generator: torch.Generator) -> None:
    truth, prediction, params = trajectories(5, generator)
    prediction[3, 2:] = bad
    panel = fill(Panel(PROBLEM), (truth, prediction, params), [2, 3])
    figures = panel.compute()
    assert not math.isfinite(figures["rollout_relative_l2"])
    assert figures["rollout_diverged"] == pytest.approx(0.2)
    assert math.isfinite(figures["rollout_horizon"])
    assert panel.samples().index.tolist() == [0, 1, 3], "the diverged sample is the worst"


def test_the_worst_sample_is_kept(generator: torch.Generator) -> None:
    truth, prediction, params = data = trajectories(6, generator)
    samples = fill(Panel(PROBLEM, n_kept=1), data, [4, 2]).samples()
    worst = int(metrics.relative_l2(prediction, truth[:, 1:]).argmax())
    assert samples.index.tolist() == [0, worst]
    torch.testing.assert_close(samples.prediction[1], prediction[worst])
    torch.testing.assert_close(samples.initial[1], truth[worst, 0])
    torch.testing.assert_close(samples.params.fields[1], params.fields[worst])


def test_a_stationary_problem_has_one_step(generator: torch.Generator) -> None:
    problem = Problem(equation="", channels=(Quantity("u"),), scalars=(), coefficients=(), grid=GRID, dt=0.0)
    panel = Panel(problem, pde=Mass())
    target = torch.rand(3, 1, 1, *GRID.shape, generator=generator, dtype=torch.float64)
    params = Parameters.none(3, GRID.shape, dtype=torch.float64)
    panel.update(1.25 * target, target, initial=torch.zeros_like(target[:, 0]), params=params, grid=GRID)
    figures = panel.compute()
    assert figures["rollout_relative_l2"] == pytest.approx(0.25, rel=1e-13)
    assert figures["persistence_relative_l2"] == pytest.approx(1.0, rel=1e-13)
    assert not [name for name in figures if "drift" in name], "nothing is conserved without time"


def test_spectra_are_those_of_the_last_step(generator: torch.Generator) -> None:
    truth, prediction, params = data = trajectories(3, generator)
    curves = fill(Panel(PROBLEM), data, [2, 1]).curves()
    torch.testing.assert_close(curves.truth_spectrum, metrics.energy_spectrum(truth[:, -1:], GRID).squeeze(1))
    error = (prediction - truth[:, 1:])[:, -1]
    torch.testing.assert_close(curves.error_spectrum.sum(2), error.square().mean((2, 3)))


def test_reset_forgets(generator: torch.Generator) -> None:
    data = trajectories(3, generator)
    panel = fill(Panel(PROBLEM), trajectories(4, generator), [4])
    panel.reset()
    with pytest.raises(ValueError, match="before its first"):
        panel.compute()
    assert fill(panel, data, [3]).compute() == fill(Panel(PROBLEM), data, [3]).compute()


def test_states_of_another_problem_are_refused(generator: torch.Generator) -> None:
    truth, prediction, params = trajectories(2, generator)
    panel = fill(Panel(PROBLEM), (truth, prediction, params), [2])
    with pytest.raises(ValueError, match="rollouts of 4 steps after rollouts of 5"):
        panel.update(prediction[:, :4], truth[:, 1:5], initial=truth[:, 0], params=params, grid=GRID)
    with pytest.raises(ValueError, match="channels"):
        panel.update_one_step(prediction[:, :, :1], truth[:, 1:, :1])
