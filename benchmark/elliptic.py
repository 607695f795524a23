"""What a solve of -div(a grad u) = 1 costs: sparse factorisation against preconditioned conjugate gradients.

    python -m duhamel.benchmark.elliptic [--sizes 32 64 128] [--batch-size 8] [--repeats 5] [--device cpu]

Three families of coefficients on the unit square, constant in every cell, u = 0 on its boundary. Per sample:
milliseconds, the median over repeats in which the solvers take turns, set-up included; conjugate gradients' iterations
to the tolerance, the most of the batch; the relative L2 distance to the direct solve, and that to a solve with four
cells for one along each axis: the error. scikit-fem with pyamg takes part where it is installed (extra `rivals`).
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from duhamel.benchmark.rivals import scikit_fem, version
from duhamel.fields import GaussianField, LogNormalField, MultiscaleTrigonometric, RandomField
from duhamel.pdes import Darcy
from duhamel.pdes.darcy import TWO_MATERIALS
from duhamel.solvers import EllipticSolution, Multigrid, ScaledLaplacian, solve_darcy, solve_diffusion
from duhamel.solvers.elliptic import Preconditioner

FAMILIES: dict[str, RandomField] = {
    "12 and 3": TWO_MATERIALS,
    "log-normal": LogNormalField(field=GaussianField(sigma=10.0, tau=5.0, alpha=2.0, n_modes=16)),
    "multiscale": MultiscaleTrigonometric(),
}
PRECONDITIONERS: dict[str, Preconditioner] = {"multigrid": Multigrid, "scaled Laplacian": ScaledLaplacian}
# Samples of a batch whose error is measured: the fine solve takes longer than all others together.
JUDGED = 8


@dataclass(frozen=True)
class Cost:
    """Of one solver on one family and size; milliseconds a sample, one number a repeat. iterations: 0 if not known.

    distance, error: from the direct solve on the same cells, and from one on four times as many along each axis.
    """

    solver: str
    milliseconds: tuple[float, ...]
    iterations: int
    distance: float
    error: float


def costs(a: Tensor, n_repeats: int, *, tolerance: float = 1e-8) -> list[Cost]:
    """The direct solve, then each preconditioner, then other libraries, on the same coefficients (batch, n, n)."""
    grid = Darcy().grid(tuple(a.shape[1:]))
    f = torch.ones_like(a)
    direct, truth = solve_darcy(a, f, grid), refined(a[:JUDGED])
    solvers: dict[str, Callable[[], Tensor | EllipticSolution]] = {"direct": partial(solve_darcy, a, f, grid)}
    for name, preconditioner in PRECONDITIONERS.items():
        solvers[name] = partial(
            solve_diffusion, a, f, grid, preconditioner=preconditioner, tolerance=tolerance, max_iterations=1000
        )
    with suppress(ImportError):
        solvers["scikit-fem, pyamg"] = partial(scikit_fem(grid.shape, tolerance), a)
    times: dict[str, list[float]] = {name: [] for name in solvers}
    last: dict[str, Tensor | EllipticSolution] = {}
    for _ in range(n_repeats):
        for name, solve in solvers.items():
            start = time.perf_counter()
            last[name] = solve()
            if a.is_cuda:
                torch.cuda.synchronize()
            times[name].append(1000 * (time.perf_counter() - start) / len(a))
    rows = []
    for name, answer in last.items():
        u, iterations = (
            (answer.u, int(answer.iterations.max())) if isinstance(answer, EllipticSolution) else (answer, 0)
        )
        rows.append(Cost(name, tuple(times[name]), iterations, distance(u, direct), distance(u[:JUDGED], truth)))
    return rows


def refined(a: Tensor) -> Tensor:
    """u in the middles of the cells of a (batch, n, n), solved with 4 x 4 cells in each."""
    fine = a.repeat_interleave(4, 1).repeat_interleave(4, 2)
    u = solve_darcy(fine, torch.ones_like(fine), Darcy().grid(tuple(fine.shape[1:])))
    blocks = u.unflatten(2, (-1, 4)).unflatten(1, (-1, 4))
    return blocks[:, :, 1:3, :, 1:3].mean(dim=(2, 4))  # the four cells around the middle


def distance(u: Tensor, v: Tensor) -> float:
    """Relative L2 distance over the whole batch."""
    return float((u - v).norm() / v.norm())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    title = (
        f"residual 1e-8, float64, {options.device}, batch of {options.batch_size}, seed 0, torch {torch.__version__}, "
        f"scikit-fem {version('scikit-fem')}, pyamg {version('pyamg')}"
    )
    table = Table("coefficient", "n", "solver", "ms a sample", "iterations", "to direct", "error", title=title)
    for family, field in FAMILIES.items():
        for n in options.sizes:
            a = field.sample(Darcy().grid((n, n)), options.batch_size, torch.Generator().manual_seed(0))
            for cost in costs(a.to(options.device), options.repeats):
                ms = statistics.median(cost.milliseconds)
                counted = str(cost.iterations) if cost.iterations else "-"
                distances = (f"{cost.distance:.0e}", f"{cost.error:.1e}")
                table.add_row(family, str(n), cost.solver, f"{ms:.2f}", counted, *distances)
    Console().print(table)


if __name__ == "__main__":
    main()
