"""python -m duhamel.inverse +experiment=NAME: data are made or given, methods run side by side, a folder is left."""

import json
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from jaxtyping import Float
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from torch import Tensor

from duhamel.command_line import reported
from duhamel.fields import Grid
from duhamel.inverse.archive import write_netcdf
from duhamel.inverse.diagnostics import coverage, effective_sample_size
from duhamel.inverse.figures import write_figures
from duhamel.inverse.noise import IndependentNoise
from duhamel.inverse.observation import Points, random_places
from duhamel.inverse.posterior import Posterior
from duhamel.inverse.priors import Prior
from duhamel.inverse.problem import Forward, InverseProblem
from duhamel.operators import load
from duhamel.pdes import PDE
from duhamel.solvers import reference_solver, refined


def posed(cfg: DictConfig, generator: torch.Generator) -> tuple[InverseProblem, Float[Tensor, "1 dim"]]:
    """The problem of a configuration and the truth behind its data, which is a draw of the prior.

    Its data are solved with `truth_refine` times the points and as many times the steps: no model fits them exactly.
    """
    pde: PDE = instantiate(cfg.pde)
    grid = pde.grid(tuple(cfg.shape))
    prior = Prior(pde.problem(grid, float(cfg.dt)), instantiate(cfg.prior, _convert_="all"))
    seen: dict[str, Any] = {"steps": tuple(cfg.sensors.steps)}
    if cfg.observation:
        observation = instantiate(cfg.observation, **seen, _convert_="all")
    else:
        observation = Points(positions=places(cfg.sensors, grid, generator), **seen)

    def solver(on: Grid, factor: int) -> Any:
        steps = {"substeps": cfg.substeps * factor} if cfg.dt > 0 else {}
        return reference_solver(pde, on, float(cfg.dt), **steps)

    fine = refined(grid, cfg.truth_refine)
    truth = prior.sample(1, generator)
    exact = Forward(
        prior=prior, observation=observation, step=solver(fine, cfg.truth_refine), grid=fine, n_steps=cfg.n_steps
    )
    clean = exact(truth)[0]
    noise = IndependentNoise(torch.full_like(clean, cfg.noise * float(clean.square().mean().sqrt())))
    problem = InverseProblem(
        prior=prior,
        observation=observation,
        noise=noise,
        data=clean + noise.sample(1, generator)[0],
        grid=grid,
        n_steps=cfg.n_steps,
        surrogate=load(cfg.surrogate) if cfg.surrogate else None,
        reference=solver(grid, 1),
    )
    return problem, truth


def places(sensors: DictConfig, grid: Grid, generator: torch.Generator) -> Float[Tensor, "place dim"]:
    """n random ones, or the cell centres of a lattice that divides the domain."""
    if not sensors.lattice:
        return random_places(sensors.n, grid, generator, margin=sensors.margin)
    sides = zip(sensors.lattice, grid.extent, grid.origin, strict=True)
    axes = [left + side * (torch.arange(n, dtype=torch.float64) + 0.5) / n for n, side, left in sides]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)


def summary(name: str, found: Posterior, problem: InverseProblem, truth: Float[Tensor, "1 dim"]) -> dict[str, Any]:
    """Numbers of one method; intervals and coverage only where its gates passed, effective draws only of chains."""
    row: dict[str, Any] = {
        "name": name,
        "method": found.method,
        "status": str(found.status),
        "gates": [str(gate) for gate in found.gates],
        "surrogate_solves": found.spent.surrogate,
        "reference_solves": found.spent.reference,
        "seconds": found.spent.seconds,
        "ess": None,
        "reference_solves_per_ess": None,
    }
    exact = problem.prior.values(truth, problem.grid)
    if found.chains and found.samples.shape[1] >= 4:
        ess = float(effective_sample_size(found.samples).median())
        row |= {"ess": ess, "reference_solves_per_ess": found.spent.reference / ess}
    for quantity, where in problem.prior.slices.items():
        if where.start == where.stop:
            continue

        def values(z: Tensor, quantity: str = quantity) -> Tensor:
            return problem.prior.values(z, problem.grid)[quantity]

        mean = found.mean(values)
        error = (mean - exact[quantity][0]).norm() / exact[quantity][0].norm()
        row[quantity] = {"relative_error_of_mean": float(error)}
        if len(found.draws) > 1 and found.passed:
            row[quantity]["covered_90"] = coverage(exact[quantity][0], found.interval(values))
            if mean.ndim == 0:
                low, high = found.interval(values)
                row[quantity] |= {"mean": float(mean), "interval_90": [float(low), float(high)]}
    return row


@reported
@hydra.main(version_base="1.3", config_path="pkg://duhamel.conf", config_name="inverse")
def main(cfg: DictConfig) -> None:
    """Leaves config.yaml, report.json, one NetCDF file a method and its figures in the run's folder."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    OmegaConf.save(cfg, folder / "config.yaml", resolve=True)
    torch.set_num_threads(cfg.threads)
    generator = torch.Generator().manual_seed(cfg.seed)
    problem, truth = posed(cfg, generator)
    rows, console = [], Console(width=140)
    table = Table("method", "status", "reference solves", "seconds", *problem.prior.parts, title=cfg.name)
    for name, method in cfg.methods.items():
        found = instantiate(method, _partial_=True)(problem, generator)
        rows.append(summary(str(name), found, problem, truth))
        write_netcdf(found, problem, folder / f"{name}.nc")
        write_figures(folder, problem, found, truth=truth, name=str(name))
        console.print(f"[bold]{name}[/bold]\n{found.report()}\n")
        row = rows[-1]
        errors = [f"{row[p]['relative_error_of_mean']:.3f}" if p in row else "known" for p in problem.prior.parts]
        table.add_row(str(name), row["status"], str(row["reference_solves"]), f"{row['seconds']:.1f}", *errors)
    (folder / "report.json").write_text(json.dumps(rows, indent=2) + "\n")
    console.print(table, "entries: relative error of the posterior mean", f"figures and posteriors: {folder}")


if __name__ == "__main__":
    main()
