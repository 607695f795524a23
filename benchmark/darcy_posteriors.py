"""Darcy's permeability from 50 sensors by every method, judged by a long chain on the reference solver.

    python -m duhamel.benchmark.darcy_posteriors --surrogate FILE [--seeds 0 1 2] [--out FILE]

The truth is drawn from the prior (64 Karhunen-Loeve modes of log a) and solved on 64 x 64 cells; surrogate and
reference solve on 32 x 32; noise is 2 % of the data's root mean square. FILE is what `python train.py
+experiment=darcy_lognormal` leaves. The reference posterior is gpCN on finite volumes, solved in batches to a relative
residual of 1e-8.

err: root mean square over 16 x 16 pixels of |mean - mean_ref| / std_ref of log a; of the reference, half the distance
of its halves. std: mean over pixels of std / std_ref. covered: share of pixels whose true log a lies in the 90 % band,
"-" where the result's gates refuse a band. Reference solves are those of all that a method builds on. R-hat: the
largest. ESS: median over coordinates of the bulk effective sample size, per second of processor time without what was
prepared for the method by another row. The last table has means over seeds.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

import duhamel
from duhamel.benchmark.posterior_table import means, shown
from duhamel.fields import GaussianField, Grid, LogNormalField
from duhamel.inverse import (
    Gaussian,
    IndependentNoise,
    InverseProblem,
    Points,
    Posterior,
    Prior,
    adapted,
    delayed_acceptance,
    ensemble_kalman,
    gauss_newton_map,
    lbfgs_map,
    pcn,
    preconditioner,
    prior_error,
    random_places,
    reweighted,
    two_level,
)
from duhamel.inverse.correction import misfit_gap
from duhamel.inverse.diagnostics import coverage, effective_sample_size, r_hat
from duhamel.inverse.problem import Forward
from duhamel.pdes import Darcy
from duhamel.solvers import DarcyFiniteVolume, ScaledLaplacian, solve_diffusion

PERMEABILITY = LogNormalField(field=GaussianField(sigma=11.0, tau=3.0, alpha=2.0, n_modes=7))
N_SENSORS = 50
NOISE = 0.02


def finite_volumes(grid: Grid) -> DarcyFiniteVolume:
    """The reference solver of the benchmark: preconditioned conjugate gradients over the whole batch."""

    def solve(a: Tensor, f: Tensor, grid: Grid) -> Tensor:
        return solve_diffusion(a, f, grid, preconditioner=ScaledLaplacian, tolerance=1e-8, max_iterations=500).u

    return DarcyFiniteVolume(grid, solve=solve)


def synthetic(surrogate: duhamel.Surrogate, seed: int) -> tuple[InverseProblem, Tensor]:
    """The problem of one seed and its truth z; the data come from a grid twice as fine, solved to the same residual."""
    generator = torch.Generator().manual_seed(seed)
    pde = Darcy(permeability=PERMEABILITY)
    grid, fine = pde.grid((32, 32)), pde.grid((64, 64))
    prior = Prior(pde.problem(grid, 0.0), {"permeability": PERMEABILITY})
    sensors = Points(positions=random_places(N_SENSORS, grid, generator, margin=0.05))
    truth = prior.sample(1, generator)
    seen = Forward(prior=prior, observation=sensors, step=finite_volumes(fine), grid=fine)(truth)[0]
    noise = IndependentNoise(torch.full_like(seen, NOISE * float(seen.square().mean().sqrt())))
    data = seen + noise.sample(1, generator)[0]
    problem = InverseProblem(
        prior=prior,
        observation=sensors,
        noise=noise,
        data=data,
        grid=grid,
        surrogate=surrogate,
        reference=finite_volumes(grid),
    )
    return problem, truth


def run(problem: InverseProblem, truth: Tensor, seed: int, *, draws: int) -> list[dict[str, Any]]:
    """One row a method, the reference first."""
    generator = torch.Generator().manual_seed(1000 + seed)
    coarse, fine = problem.by_surrogate, problem.by_reference

    pixels = Darcy(permeability=PERMEABILITY).grid((16, 16))

    def log_a(z: Tensor) -> Tensor:
        return problem.prior.values(z, pixels)["permeability"].log()

    rows: list[dict[str, Any]] = []
    corrected = {n: adapted(coarse, fine, n_reference=n, generator=generator) for n in (100, 200, 400)}
    # Starts and covariance of the judge come from the best surrogate; R-hat says whether it forgot the starts.
    chain = pcn(
        fine,
        gaussian=Gaussian.fitted(corrected[400].draws),
        generator=generator,
        n_draws=draws,
        n_burn=50,
        starts=corrected[400].thinned(64),
    )
    mean, std = chain.mean(log_a), chain.std(log_a)
    exact = log_a(truth)[0]
    halves = [chain.samples[:, : draws // 2], chain.samples[:, draws // 2 :]]
    gap = log_a(halves[0].flatten(0, 1)).mean(dim=0) - log_a(halves[1].flatten(0, 1)).mean(dim=0)
    floor = float((gap / std).square().mean().sqrt()) / 2

    def add(name: str, found: Posterior, *, before: int = 0, chains: bool = True) -> None:
        """before: reference solves of what the method was given."""
        spread = found.std(log_a)
        n = found.spent.reference + before
        ess = float(effective_sample_size(found.samples).median()) if chains else float("nan")
        rows.append(
            {
                "method": name,
                "status": str(found.status) if found.passed else f"{found.status}, refused",
                "reference solves": n,
                "err": float(((found.mean(log_a) - mean) / std).square().mean().sqrt()),
                "std": float((spread / std).mean()),
                "covered": coverage(exact, found.interval(log_a)) if found.passed else float("nan"),
                "ESS": ess,
                "solves / ESS": n / ess,
                "R-hat": float(r_hat(found.samples).max()) if chains else float("nan"),
                "ESS / s": ess / found.spent.core_seconds,
                "seconds": found.spent.core_seconds,
                "gates": [str(gate) for gate in found.gates],
            }
        )

    add("reference chain, covariance of adapted, 400", chain, before=400)
    rows[0]["err"] = floor
    laplace = preconditioner(coarse)
    raw = pcn(coarse, gaussian=laplace, generator=generator)
    add("surrogate, uncorrected", raw)
    error = prior_error(coarse, fine, n_reference=200, generator=generator)
    wide = error.applied(coarse)
    add("prior-averaged error model", pcn(wide, gaussian=preconditioner(wide), generator=generator), before=200)
    add("ensemble Kalman on the latter", ensemble_kalman(wide, generator=generator), before=200, chains=False)
    for n, found in corrected.items():
        add(f"adapted, {n}", found)
    add("importance weights on the surrogate, 300", reweighted(raw, coarse, fine, n_reference=300), chains=False)
    weighted = reweighted(corrected[400], corrected[400].target or coarse, fine, n_reference=200)
    add("importance weights on adapted, 400 + 200", weighted, before=400, chains=False)
    better = corrected[400].target or coarse
    for name, cheap, found, steps, before in (
        ("raw", coarse, raw, 400, 0),
        ("adapted", better, corrected[400], 800, 400),
    ):
        short = delayed_acceptance(
            cheap,
            fine,
            gaussian=found.gaussian or laplace,
            starts=found.thinned(8),
            n_reference=8 * (steps + 1),
            n_burn=20,
            subchain=5,
            generator=generator,
        )
        add(f"delayed acceptance, {name}", short, before=before)
    # Its second level are draws of that chain, whose gates are its own, too.
    levels = two_level(corrected[400], better, fine, short.thinned(400), n_reference=400)
    levels = levels.with_gates(*short.gates)
    add("two-level on adapted and its delayed acceptance", levels, before=400 + short.spent.reference, chains=False)
    gaussian = corrected[400].gaussian or laplace
    for name, by, before in (
        ("reference chain, adapted Laplace", gaussian, 400),
        ("reference chain, surrogate Laplace", laplace, 0),
        ("reference pCN, prior", Gaussian.standard(fine.dim), 0),
    ):
        found = pcn(fine, gaussian=by, generator=generator, n_chains=8, n_draws=350, n_burn=50, beta=0.2)
        add(name, found, before=before)
    rows += map_rows(problem, laplace, gaussian, generator)
    return rows


def map_rows(
    problem: InverseProblem, laplace: Gaussian, adapted_gaussian: Gaussian, generator: torch.Generator
) -> list[dict[str, Any]]:
    """Reference evaluations of value and gradient until the potential is within 0.1 of the optimum."""
    rows: list[dict[str, Any]] = []
    fine = problem.by_reference
    optimum = gauss_newton_map(fine, tolerance=1e-3).potential
    for name, gaussian in (
        ("from scratch", None),
        ("whitened by the surrogate", laplace),
        ("whitened by the adapted surrogate", adapted_gaussian),
    ):
        found = lbfgs_map(fine, whitened_by=gaussian, max_evaluations=600)
        needed = [n for n, value in found.history if value <= min(optimum, found.potential) + 0.1]
        rows.append({"method": f"reference MAP, {name}", "evaluations": needed[0] if needed else None})
    gap = misfit_gap(problem.by_surrogate, fine, laplace.sample(50, generator))
    rows.append({"method": "std of the misfit difference", "value": float(gap.std())})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m duhamel.benchmark.darcy_posteriors", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--surrogate", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--draws", type=int, default=2000, help="of each of the reference's 64 chains")
    parser.add_argument("--out", type=Path, default=None, help="a JSON file for all numbers")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    surrogate = duhamel.load(arguments.surrogate)
    everything: list[dict[str, Any]] = []
    console = Console(width=180)
    for seed in arguments.seeds:
        problem, truth = synthetic(surrogate, seed)
        rows = run(problem, truth, seed, draws=arguments.draws)
        console.print(shown(rows, f"seed {seed}"))
        everything += [{"seed": seed, **row} for row in rows]
        if arguments.out:
            arguments.out.write_text(json.dumps(everything, indent=2) + "\n")
    console.print(shown(means(everything), f"means over {len(arguments.seeds)} seeds"))


if __name__ == "__main__":
    main()
