"""Certified Darcy solves from a surrogate, a reduced basis and zero: violations, iterations, seconds.

    python -m duhamel.benchmark.certified --surrogate FILE [--fields 1000]

Log-normal permeabilities on 32 x 32 cells whose contrast is log-uniform up to 100, each solved to guaranteed relative
energy errors of 10 %, 1 % and 0.01 %. A violation is an energy error above the bound that was returned, against a
sparse direct solve. The reduced basis has 64 modes of 500 solutions of other fields. FILE is a surrogate of Darcy on
that grid, what `python train.py +experiment=darcy_lognormal` leaves. Seconds are of the whole batch, guess included,
medians of repeats that take turns.
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import duhamel
from duhamel.fields import GaussianField, Grid, Parameters, Propagator, State
from duhamel.pdes import Darcy
from duhamel.pdes.diffusion import diffusion
from duhamel.solvers import ReducedBasis, solve_certified, solve_darcy

TOLERANCES = (0.1, 0.01, 0.0001)
CONTRAST = 100.0


def permeabilities(grid: Grid, n: int, generator: torch.Generator) -> Tensor:
    """exp(s g), g Gaussian, s such that max / min is log-uniform in [1.1, CONTRAST]."""
    g = GaussianField(sigma=11.0, tau=3.0, alpha=2.0, n_modes=7, zero_mean=True).sample(grid, n, generator)
    span = g.flatten(1).amax(dim=1) - g.flatten(1).amin(dim=1)
    least, most = math.log(1.1), math.log(CONTRAST)
    aim = least + (most - least) * torch.rand(n, generator=generator, dtype=torch.float64)
    return torch.exp(g * (aim / span)[:, None, None])


def single(surrogate: duhamel.Surrogate) -> Propagator:
    """The surrogate in its own precision."""

    def guess(u: State, params: Parameters) -> State:
        return surrogate(u.float(), params.to(torch.float32))

    return guess


def energy(v: Tensor, a: Tensor, grid: Grid) -> Tensor:
    return (math.prod(grid.spacing) * (v * diffusion(v, a, grid)).flatten(1).sum(dim=1)).clamp_min(0).sqrt()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m duhamel.benchmark.certified", description=__doc__.splitlines()[0])
    parser.add_argument("--surrogate", type=Path, required=True)
    parser.add_argument("--fields", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None, help="a JSON file for the numbers")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    grid = Darcy().grid((32, 32))
    basis_fields = permeabilities(grid, 500, generator)
    snapshots = solve_darcy(basis_fields, torch.ones_like(basis_fields), grid)
    a = permeabilities(grid, arguments.fields, generator)
    exact = solve_darcy(a, torch.ones_like(a), grid)
    size = energy(exact, a, grid)
    starts: dict[str, Propagator | None] = {
        "zero": None,
        "surrogate": single(duhamel.load(arguments.surrogate)),
        "reduced basis": ReducedBasis.fitted(snapshots, grid, n_modes=64),
    }
    rows, table = [], Table("tolerance", "start", "violations", "not certified", "iterations", "error / tol", "seconds")
    for tolerance in TOLERANCES:
        seconds: dict[str, list[float]] = {name: [] for name in starts}
        for _ in range(arguments.repeats):
            for name, start in starts.items():
                before = time.perf_counter()
                solve_certified(start, a, grid, tolerance=tolerance)
                seconds[name].append(time.perf_counter() - before)
        for name, start in starts.items():
            found = solve_certified(start, a, grid, tolerance=tolerance)
            error = energy(found.u - exact, a, grid)
            # The direct solve has a rounding error of its own.
            violations = int(((error > found.bound + 1e-10 * size) | (error > found.relative_bound * size)).sum())
            row = {
                "tolerance": tolerance,
                "start": name,
                "violations": violations,
                "not certified": int((~found.certified).sum()),
                "iterations": float(found.iterations.double().mean()),
                "error / tol": float((error / size / tolerance).median()),
                "seconds": statistics.median(seconds[name]),
            }
            rows.append(row)
            table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=120).print(table)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
