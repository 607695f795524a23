"""What a solve costs beside a numerical solver of equal accuracy: a surrogate trained on an equation alone.

    python -m duhamel.benchmark.per_solve RUN [--repeats 15]

RUN is the folder of a training on fresh samples (conf/dataset/fresh.yaml). Its test samples are solved in one batch, in
float32 on one thread: by the surrogate, and by the reference solver with ever more points and steps, up to the
cheapest that is as accurate as the surrogate. Errors are relative L2 against the run's own reference solutions; times
are medians over repeats in turn, per solve.
"""

import argparse
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from hydra.utils import instantiate
from jaxtyping import Float
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from torch import Tensor

from duhamel.benchmark.timing import in_turn
from duhamel.datasets import FreshDataModule
from duhamel.fields import Grid, Parameters, State, Trajectory, resample
from duhamel.metrics import relative_l2
from duhamel.operators import load
from duhamel.pdes import PDE
from duhamel.pdes.semilinear import SemilinearPDE
from duhamel.solvers import ETDRK4, Solver, reference_solver

POINTS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
SUBSTEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256)


def solver_on(pde: PDE, grid: Grid, dt: float, substeps: int) -> Solver:
    """The reference solver, as inaccurate as it may be: unresolved solutions are not refused."""
    if isinstance(pde, SemilinearPDE):
        return ETDRK4(pde, grid, dt, substeps=substeps, tail_bound=math.inf)
    return reference_solver(pde, grid, dt)


def solves(pde: PDE, batch: Trajectory) -> Iterator[tuple[str, Callable[[], State], Callable[[State], float]]]:
    """Name, solve and error of each number of points and steps, cheapest (points times steps) first."""
    steps = SUBSTEPS if isinstance(pde, SemilinearPDE) else (1,)  # others choose theirs themselves
    pairs = [(n, s) for n in POINTS if n <= 2 * max(batch.grid.shape) for s in steps]
    for n, substeps in sorted(pairs, key=lambda pair: pair[0] ** batch.grid.ndim * pair[1]):
        grid = batch.grid.with_shape((n,) * batch.grid.ndim)
        u0 = resample(batch.u[:, 0], batch.grid, grid)
        params = Parameters(batch.params.scalars, resample(batch.params.fields, batch.grid, grid))
        solver = solver_on(pde, grid, batch.dt, substeps)

        def solve(solver: Solver = solver, u0: State = u0, params: Parameters = params) -> State:
            return solver(u0, params)

        def error(u: State, grid: Grid = grid) -> float:
            return error_of(resample(u, grid, batch.grid), batch)

        yield f"{type(solver).__name__}, {n} points an axis, {substeps} steps", solve, error


def error_of(u: State, batch: Trajectory) -> float:
    errors: Float[Tensor, " batch"] = relative_l2(u[:, None], batch.u[:, -1:])
    return float(errors.mean())


def gathered(loaders: Iterable[Iterable[Trajectory]]) -> Trajectory:
    """All batches as one."""
    parts = [part for loader in loaders for part in loader]
    scalars, fields = (torch.cat([getattr(p.params, name) for p in parts]) for name in ("scalars", "fields"))
    return Trajectory(torch.cat([p.u for p in parts]), Parameters(scalars, fields), parts[0].grid, parts[0].dt)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    data: FreshDataModule = instantiate(OmegaConf.load(options.run / "config.yaml").dataset)
    data.setup()
    batch = gathered(data.test_dataloader())
    if batch.n_steps != 1:
        raise SystemExit(f"{options.run}: its test samples have {batch.n_steps} steps; single ones are compared here")
    surrogate = load(options.run / "surrogate.safetensors")

    def learned() -> State:
        return surrogate(batch.u[:, 0], batch.params)

    with torch.no_grad():
        wanted = error_of(learned(), batch)
        cheapest = next(filter(lambda one: one[2](one[1]()) <= wanted, solves(data.pde, batch)), None)
        if cheapest is None:
            raise SystemExit(f"no solver of the ladder is as accurate as the surrogate ({wanted:.1e})")
        name, solve, error = cheapest
        contenders, reached = {type(surrogate.operator).__name__: learned, name: solve}, error(solve())
        times = in_turn(contenders, repeats=options.repeats, warm_up=3, device=torch.device("cpu"))
    table = Table("solve", "relative L2", "ms a solve", title=f"{data.pde.name}, batch of {len(batch.u)}, float32, CPU")
    for contender, its_error in zip(contenders, (wanted, reached), strict=True):
        table.add_row(contender, f"{its_error:.2e}", f"{1000 * times[contender].median / len(batch.u):.3g}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
