"""On a GPU: the numbers of the CPU, trainings in mixed precision, what is saved there. Skipped where there is none."""

import json
import math
import sys
from functools import partial
from pathlib import Path

import lightning
import pytest
import torch

import duhamel
import train
from duhamel.datasets import generate
from duhamel.fields import GaussianField, LogNormalField, Parameters
from duhamel.inverse import FullField, IndependentNoise, InverseProblem, Prior, lbfgs_map
from duhamel.operators import FNO, MgNO, Normaliser, Surrogate, fft, fourier
from duhamel.operators.pointwise import Pointwise
from duhamel.operators.probe import BF16, registered
from duhamel.operators.probed import SMOOTH, circle, drawn, relative, sample
from duhamel.pdes import Advection, Burgers, Darcy, NavierStokes, Uniform
from duhamel.solvers import reference_solver
from tests.operators.problems import plane
from tests.operators.test_probe import SMALL

GPU = torch.device("cuda")
ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
    pytest.mark.usefixtures("unchecked"),
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.mark.parametrize("name", registered())
def test_an_operator_computes_what_it_computes_on_the_cpu(name):
    """Outputs and gradients in float64."""
    problem = circle(32)
    results = []
    for device in (torch.device("cpu"), GPU):
        operator = drawn(partial(registered()[name], **SMALL.get(name, {})), problem).to(device)
        u, params = sample(problem, problem.grid)
        out = operator(u.to(device), params.to(device))
        if weights := list(operator.parameters()):
            out.square().sum().backward()
        results.append([t.cpu() for t in (out.detach(), *(w.grad for w in weights))])
    for theirs, ours in zip(*results, strict=True):
        tolerance = 1e-4 if name == "NeuralopFNO" else 1e-9  # whose spectra are in single precision
        torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * max(1.0, float(theirs.abs().max())))


@pytest.mark.parametrize("name", registered())
def test_an_operator_runs_in_bfloat16(name):
    problem = circle(32)
    torch.manual_seed(0)
    operator = registered()[name](problem, **SMALL.get(name, {})).to(GPU).eval()
    u, params = sample(problem, problem.grid)
    u, params = u.float().to(GPU), params.to(GPU, torch.float32)
    with torch.no_grad():
        exact = operator(u, params)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            assert relative(operator(u, params).float(), exact) < BF16


@pytest.mark.parametrize(("points", "modes"), [((64, 64), (33, 64)), ((8192,), (8192,)), ((32, 31, 32), (31, 31, 32))])
def test_fast_transforms_of_learned_spectra_are_those_of_the_cpu(points, modes, generator):
    """At sizes where cuFFT does not ignore what a real function has not."""
    n_kept = math.prod(modes[:-1]) * (modes[-1] // 2 + 1)
    spectrum = torch.randn(n_kept, 2, 2, 3, generator=generator)
    expected = fft.synthesise(spectrum, modes, points)
    got = fft.synthesise(spectrum.to(GPU), modes, points).cpu()
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
@pytest.mark.parametrize("dim", [1, 2])
def test_compiled_steps_and_replayed_graphs_give_the_same_gradients(mode, dim):
    """Three steps of a training each, so that a graph that is replayed has been."""
    problem = circle(24, dim=dim)
    u, params = sample(problem, problem.grid)
    u, params = u.float().to(GPU), params.to(GPU, torch.float32)
    weights = []
    for compiled in (False, True):
        torch._dynamo.reset()
        torch.manual_seed(0)
        operator = FNO(problem, n_modes=8, width=8, n_layers=2).to(GPU)
        optimizer = torch.optim.SGD(operator.parameters(), lr=1e-2)
        if compiled:
            operator.compile(fullgraph=True, mode=mode)
        for _ in range(3):
            optimizer.zero_grad()
            operator(u, params).square().mean().backward()
            optimizer.step()
        weights.append([p.detach().clone() for p in operator.parameters()])
    torch._dynamo.reset()
    for ours, theirs in zip(*weights, strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-5)


def test_a_compiled_graph_does_not_wait_for_the_host():
    """Tables of transforms are made on the device: one operation on the host, and no CUDA graph is replayed."""
    seen: list[torch.device] = []

    def look(graph, inputs):
        fake = [n.meta["example_value"] for n in graph.graph.nodes if "example_value" in n.meta]
        seen.extend(v.device for v in fake if isinstance(v, torch.Tensor))
        return graph

    torch.compile(lambda u: fourier.synthesise(fourier.analyse(u, (6, 6)), (6, 6), (12, 12)), backend=look)(
        torch.randn(1, 2, 12, 12, device=GPU)
    )
    assert seen and {device.type for device in seen} == {"cuda"}


def test_a_compiled_graph_splits_the_points_of_a_pointwise_layer():
    """Sums over 256 x 256 points in one row would leave the chip idle."""
    shapes = []

    def look(graph, inputs):
        fake = [n.meta["example_value"] for n in graph.graph.nodes if "example_value" in n.meta]
        shapes.extend(tuple(v.shape) for v in fake if isinstance(v, torch.Tensor))
        return graph

    layer = Pointwise(32, 32).to(GPU)
    u = torch.randn(1, 32, 256, 256, device=GPU)
    torch.testing.assert_close(torch.compile(layer, backend=look)(u), layer(u), rtol=1e-4, atol=1e-4)
    assert (1, 256, 8192) in shapes


@pytest.mark.parametrize(
    ("pde", "shape", "dt", "substeps"),
    [
        (Advection(), (64,), 0.01, 1),
        (Burgers(viscosity=Uniform(0.05, 0.1)), (64,), 0.01, 8),
        (NavierStokes(viscosity=Uniform(0.05, 0.1), initial=SMOOTH), (48, 48), 0.01, 8),
        (Darcy(), (16, 16), 0.0, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_solver_answers_where_it_is_asked(pde, shape, dt, substeps, generator):
    grid = pde.grid(shape)
    u0, params = pde.sample_initial(grid, 2, generator), pde.sample_params(grid, 2, generator)
    solver = reference_solver(pde, grid, dt, substeps=substeps)
    there = solver(u0.to(GPU), params.to(GPU))
    assert there.device.type == "cuda"
    torch.testing.assert_close(there.cpu(), solver(u0, params), rtol=1e-9, atol=1e-9)


def small(folder: Path, *arguments: str) -> Path:
    """20 trajectories of Burgers on 45 points: an odd number."""
    out = folder / "burgers.hdf5"
    options = ["pde=burgers", "n_samples=20", f"out={out}", "shape=[45]", "n_steps=4", "refine=2", "substeps=4"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys,
            "argv",
            ["generate", *options, "pde.viscosity.low=0.05", "pde.viscosity.high=0.1", "error_samples=1", *arguments],
        )
        generate.main()
    return out


def trained(folder: Path, data: Path, *arguments: str) -> dict[str, float]:
    options = [
        "+experiment=burgers_fno",
        f"dataset.path={data}",
        "operator.n_modes=8",
        "operator.width=8",
        "dataset.batch_size=4",
        "trainer.check_val_every_n_epoch=1",
        "trainer.enable_progress_bar=false",
        "~callbacks.progress",
        "trainer.accelerator=gpu",
        "figures=false",
        f"hydra.run.dir={folder}",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", *options, *arguments])
        patch.chdir(ROOT)
        train.main()
    metrics: dict[str, float] = json.loads((folder / "metrics.json").read_text())
    return metrics


@pytest.mark.parametrize(
    "choices",
    [
        ["trainer.precision=32"],
        ["trainer.precision=bf16-mixed"],
        ["trainer.precision=16-mixed"],
        ["trainer.precision=bf16-mixed", "compile=true"],
        ["trainer.precision=bf16-mixed", "compile=reduce-overhead"],
    ],
    ids=" ".join,
)
def test_an_odd_grid_trains_and_the_surrogate_travels(choices, tmp_path: Path):
    """What was trained on the GPU gives the same numbers on the CPU, in physical units."""
    metrics = trained(tmp_path / "run", small(tmp_path), "trainer.max_epochs=8", *choices)
    assert metrics["test/rollout_relative_l2"] < metrics["test/persistence_relative_l2"]
    here = duhamel.load(tmp_path / "run" / "surrogate.safetensors")
    there = duhamel.load(tmp_path / "run" / "surrogate.safetensors", map_location="cuda")
    grid = here.problem.grid
    u = torch.sin(2 * torch.pi * grid.coordinates()[0].float() / grid.extent[0]).expand(1, 1, -1)
    params = Parameters(torch.full((1, 1), 0.07), torch.zeros(1, 0, *grid.shape))
    torch.testing.assert_close(there.cpu()(u, params), here(u, params), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(there.to(GPU)(u.to(GPU), params.to(GPU)).cpu(), here(u, params), rtol=1e-4, atol=1e-5)


def test_a_run_that_is_cut_goes_on_as_if_it_had_not_been(tmp_path: Path):
    data = small(tmp_path)
    whole = trained(tmp_path / "whole", data, "trainer.max_epochs=4")
    # Any error is small enough to stop at the first look at the validation data.
    stop = "_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: val/rollout_relative_l2"
    once = f"+callbacks.stop={{{stop}, stopping_threshold: 1e9}}"
    cut = trained(tmp_path / "cut", data, "trainer.max_epochs=4", once)
    checkpoint = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    resumed = trained(tmp_path / "cut", data, "trainer.max_epochs=4", f"ckpt_path={checkpoint}")
    assert cut["test/rollout_relative_l2"] != resumed["test/rollout_relative_l2"]
    assert resumed["test/rollout_relative_l2"] == pytest.approx(whole["test/rollout_relative_l2"], rel=1e-6)


class NoWaiting(lightning.Callback):
    """Makes whatever lets the host wait for the device an error, between two steps of the first epoch."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == 0 and batch_idx in (4, 12):
            torch.cuda.set_sync_debug_mode("error" if batch_idx == 4 else "default")


def test_training_steps_do_not_wait_for_the_device(tmp_path: Path):
    """Batches, weights' averages, the watch for losses that are not finite: the host runs ahead of all of them."""
    callback = f"+callbacks.watch={{_target_: {__name__}.NoWaiting}}"
    try:
        trained(tmp_path / "run", small(tmp_path), "trainer.max_epochs=1", "dataset.batch_size=1", callback)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_an_inverse_problem_asks_a_surrogate_on_the_gpu(generator):
    """Same mode, in the same coordinates, wherever the surrogate's weights are."""
    problem = plane(12)
    torch.manual_seed(0)
    surrogate = Surrogate(MgNO(problem, width=4, n_layers=1), Normaliser(problem), trained_range={}).double()
    field = LogNormalField(field=GaussianField(sigma=1.0, tau=3.0, alpha=2.0, n_modes=2))
    prior = Prior(Darcy().problem(problem.grid, 0.0), {"permeability": field})
    data = 0.1 * torch.randn(144, generator=generator, dtype=torch.float64)
    modes = []
    for device in (torch.device("cpu"), GPU):
        inverse = InverseProblem(
            prior=prior,
            observation=FullField(),
            noise=IndependentNoise(torch.full((144,), 0.5, dtype=torch.float64)),
            data=data,
            grid=problem.grid,
            surrogate=surrogate.to(device),
        )
        modes.append(lbfgs_map(inverse.by_surrogate, tolerance=1e-9).mode)
    torch.testing.assert_close(modes[1], modes[0], rtol=1e-5, atol=1e-6)
