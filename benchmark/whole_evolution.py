"""Errors of a neural spectral method at all times, beside predictors that leave out what it should have learned.

    python -m duhamel.benchmark.whole_evolution RUN [--without diffusivity] [--times 32]

RUN is the folder of a training on fresh samples (conf/dataset/fresh.yaml) of an evolution. Its test samples are solved
again, with `--times` states at equal distances up to dt. Beside the surrogate stand what its modes can hold of the
solutions, the initial state repeated, the mean of the reference's validation solutions at each time and, for each
parameter named by `--without`, the equation with that parameter zero, solved by the reference solver. Errors are
relative L2 of all states after the first, and of the last one alone, means over samples.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from hydra.utils import instantiate
from jaxtyping import Float
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from torch import Tensor

from duhamel.benchmark.per_solve import gathered, solver_on
from duhamel.datasets import FreshDataModule
from duhamel.fields import Parameters, Trajectory, rollout
from duhamel.metrics import relative_l2
from duhamel.operators import NSM, load
from duhamel.operators.spectral_basis import Expansion
from duhamel.pdes import PDE

States = Float[Tensor, "batch time channel *space"]


def errors(prediction: States, batch: Trajectory) -> tuple[float, float]:
    """Relative L2 over all states after the first, and of the last."""
    whole, end = relative_l2(prediction, batch.u[:, 1:]), relative_l2(prediction[:, -1:], batch.u[:, -1:])
    return float(whole.mean()), float(end.mean())


def without(name: str, pde: PDE, batch: Trajectory, substeps: int) -> States:
    """The states where the parameter of that name is zero. Raises ValueError where the equation has none."""
    names = [q.name for q in pde.scalars]
    if name not in names:
        raise ValueError(f"--without {name}: {pde.name} has {', '.join(names) or 'no parameters'}")
    kept = torch.tensor([float(other != name) for other in names], dtype=batch.params.scalars.dtype)
    params = Parameters(batch.params.scalars * kept, batch.params.fields)
    return rollout(solver_on(pde, batch.grid, batch.dt, substeps), batch.u[:, 0], params, batch.n_steps)


def in_its_modes(operator: NSM, batch: Trajectory) -> States:
    """The solutions by least squares in the operator's bases, of time and of each axis."""
    points = [torch.linspace(0, 1, batch.n_steps + 1, dtype=torch.float64), *operator.points(batch.grid)]
    held = Expansion.fitted(batch.u.double().transpose(1, 2), operator.bases, points).at(points)
    return held.transpose(1, 2)[:, 1:].to(batch.u.dtype)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("--without", action="append", default=[], metavar="PARAMETER")
    parser.add_argument("--times", type=int, default=32)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    trained = OmegaConf.load(options.run / "config.yaml").dataset
    operator = load(options.run / "surrogate.safetensors").operator
    if not isinstance(operator, NSM) or not trained.dt:
        raise SystemExit(f"{options.run}: no neural spectral method of an evolution")
    n, substeps = options.times, math.ceil(trained.substeps / options.times)
    data: FreshDataModule = instantiate(trained, dt=trained.dt / n, n_steps=n, substeps=substeps)
    data.setup()
    batch, known = gathered(data.test_dataloader()), gathered([data.val_dataloader()])
    times = batch.dt * torch.arange(1, n + 1)
    with torch.no_grad():
        predictions = {
            type(operator).__name__: operator.solution(batch.u[:, 0], batch.params, times),
            "in its modes": in_its_modes(operator, batch),
            "the initial state": batch.u[:, :1].expand_as(batch.u[:, 1:]),
            "mean of the validation solutions": known.u[:, 1:].mean(0, keepdim=True).expand_as(batch.u[:, 1:]),
            **{f"without {name}": without(name, data.pde, batch, substeps) for name in options.without},
        }
    title = f"{data.pde.name}, {len(batch.u)} samples, relative L2"
    table = Table("", "all times", "the last", title=title)
    for name, prediction in predictions.items():
        table.add_row(name, *(f"{error:.2e}" for error in errors(prediction, batch)))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
