"""One flow for 5 to 100 sensors of a Darcy flow: calibrated? as narrow as NUTS?

    python -m duhamel.benchmark.sensor_flow [--simulations 40000] [--epochs 30] [--replicates 100] [--problems 3]

Permeability: 16 Karhunen-Loeve modes of its logarithm, 16 x 16 cells, noise of 2 % of the solutions' root mean square.
p: least Kolmogorov-Smirnov p of simulation-based calibration over the 16 coordinates, times 16 (Bonferroni): over the
family, each problem with places of its own, and, more than amortisation promises, over problems that share one draw of
places. covered: share of coordinates whose ranks lie in the central 90 %, of the same two. err, width: root mean square
over coordinates of |mean - mean_NUTS| / std_NUTS, and mean of std / std_NUTS, of problems that NUTS solves on the same
solver: means and ranges. R-hat of NUTS: the largest. Seconds are of the processor.
"""

import argparse
import statistics

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from duhamel.fields import GaussianField, LogNormalField
from duhamel.inverse import IndependentNoise, InverseProblem, Points, Prior, preconditioner, random_places
from duhamel.inverse.diagnostics import calibration_p_values, calibration_ranks, r_hat
from duhamel.inverse.flow_matching import FlowMatching, trained_flow
from duhamel.inverse.nuts import nuts
from duhamel.pdes import Darcy
from duhamel.solvers import DarcyFiniteVolume

PERMEABILITY = LogNormalField(field=GaussianField(sigma=11.0, tau=3.0, alpha=2.0, n_modes=3))
GRID = Darcy(permeability=PERMEABILITY).grid((16, 16))
PRIOR = Prior(Darcy(permeability=PERMEABILITY).problem(GRID, 0.0), {"permeability": PERMEABILITY})
COUNTS = (5, 10, 20, 50, 100)
DRAWS = 39


def posed(n: int, noise: float, generator: torch.Generator, truth: Tensor) -> list[InverseProblem]:
    """Problems with the same places and a truth each."""
    sensors = Points(positions=random_places(n, GRID, generator))
    level = IndependentNoise(torch.full((n,), noise, dtype=torch.float64))
    example = InverseProblem(
        prior=PRIOR,
        observation=sensors,
        noise=level,
        data=torch.zeros(n, dtype=torch.float64),
        grid=GRID,
        reference=DarcyFiniteVolume(GRID),
    )
    with torch.no_grad():
        data = example.reference_forward(truth) + level.sample(len(truth), generator)
    return [
        InverseProblem(
            prior=PRIOR, observation=sensors, noise=level, data=row, grid=GRID, reference=DarcyFiniteVolume(GRID)
        )
        for row in data
    ]


def calibration(
    flow: FlowMatching, n: int, replicates: int, generator: torch.Generator, *, one_set: bool
) -> tuple[float, float]:
    """Least p over coordinates (Bonferroni) and the coverage of 90 % intervals; one set of places, or one a problem."""
    truths = PRIOR.sample(replicates, generator)
    sharing = [truths] if one_set else truths.split(1)
    problems = [problem for group in sharing for problem in posed(n, flow.noise, generator, group)]
    draws = torch.stack([flow.posterior(p, generator, n_draws=DRAWS).draws for p in problems])
    ranks = calibration_ranks(truths, draws)
    p = calibration_p_values(ranks, DRAWS, generator)
    tail = (DRAWS + 1) // 20
    return min(1.0, float(p.min()) * len(p)), float(((ranks >= tail) & (ranks <= DRAWS - tail)).double().mean())


def against_nuts(flow: FlowMatching, n: int, problems: int, generator: torch.Generator) -> dict[str, list[float]]:
    """Errors and widths in units of NUTS's standard deviations, and seconds of both, a number a problem."""
    found: dict[str, list[float]] = {"err": [], "width": [], "s": [], "s of NUTS": [], "R-hat of NUTS": []}
    for _ in range(problems):
        (problem,) = posed(n, flow.noise, generator, PRIOR.sample(1, generator))
        target = problem.by_reference
        chain = nuts(target, gaussian=preconditioner(target), generator=generator, n_chains=2, n_draws=200, n_burn=50)
        ours = flow.posterior(problem, generator, n_draws=1000)
        found["s"].append(ours.spent.core_seconds)
        found["s of NUTS"].append(chain.spent.core_seconds)
        found["R-hat of NUTS"].append(float(r_hat(chain.samples).max()))
        found["err"].append(float(((ours.mean() - chain.mean()) / chain.std()).square().mean().sqrt()))
        found["width"].append(float((ours.std() / chain.std()).mean()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="One flow for 5 to 100 sensors.")
    parser.add_argument("--simulations", type=int, default=40000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--problems", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(options.seed)
    with torch.no_grad():
        states = DarcyFiniteVolume(GRID)
        u0, params = PRIOR(PRIOR.sample(64, generator), GRID)
        noise = 0.02 * float(states(u0, params).square().mean().sqrt())
    (example,) = posed(5, noise, generator, PRIOR.sample(1, generator))
    flow = trained_flow(example, generator, n_simulations=options.simulations, n_epochs=options.epochs)
    judged_by = ("p", "covered", "p, one set", "covered, one set")
    table = Table("sensors", *judged_by, "err", "width", "s", "s of NUTS", "R-hat of NUTS")
    console = Console(width=200)
    for n in COUNTS:
        judged = [calibration(flow, n, options.replicates, generator, one_set=one) for one in (False, True)]
        against = against_nuts(flow, n, options.problems, generator)
        cells = [f"{statistics.mean(v):.3g} ({min(v):.3g} to {max(v):.3g})" for v in against.values()]
        table.add_row(str(n), *(c for p, covered in judged for c in (f"{p:.2g}", f"{covered:.3f}")), *cells)
    console.print(table)
    console.print(
        f"seed {options.seed}: trained in {flow.spent.core_seconds:.0f} s of the processor on {options.simulations} "
        f"solves, validation loss {flow.validation_loss:.4f}"
    )


if __name__ == "__main__":
    main()
