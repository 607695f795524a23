"""Data from the reference solver: `python -m duhamel.datasets.generate pde=burgers n_samples=1000 out=burgers.hdf5`."""

import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import hydra
import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from jaxtyping import Float
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from duhamel.datasets.provenance import ErrorEstimate, Provenance
from duhamel.datasets.writer import Writer
from duhamel.fields import Grid, Parameters
from duhamel.pdes import PDE
from duhamel.solvers import estimated_error, reference_solver, reference_trajectory, refined

METHOD = "relative L2 over all states after the first, against a solve with twice the points and time steps"
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def draw(pde: PDE, grid: Grid, indices: Iterable[int], *, seed: int) -> tuple[Float[Tensor, "batch ..."], Parameters]:
    """Initial states and parameters of the samples of these indices; each depends on (seed, index) only."""
    states, scalars, fields = [], [], []
    for index in indices:
        entropy = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(entropy[0]))
        states.append(pde.sample_initial(grid, 1, generator))
        params = pde.sample_params(grid, 1, generator)
        scalars.append(params.scalars)
        fields.append(params.fields)
    return torch.cat(states), Parameters(torch.cat(scalars), torch.cat(fields))


def generate(
    pde: PDE,
    grid: Grid,
    out: Path,
    *,
    n_samples: int,
    dt: float,
    n_steps: int,
    refine: int,
    substeps: int,
    seed: int,
    batch_size: int,
    error_samples: int,
    command: str,
    dtype: torch.dtype = torch.float64,
    stored_dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    overwrite: bool = False,
) -> ErrorEstimate:
    """Draw, solve and write `n_samples` trajectories; returns the error that the file states.

    The error is estimated first, on the first `error_samples` samples (all of them, where there are fewer): a
    resolution that fails does so before the long part. A sample that cannot be solved ends the run with a ValueError
    that names it, and without a file: to draw another in its place would leave the hard cases out.
    """
    for name, value in (("n_samples", n_samples), ("batch_size", batch_size), ("error_samples", error_samples)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if Path(out).exists() and not overwrite:
        raise FileExistsError(f"{out} exists; choose another name or set overwrite=true")
    problem = pde.problem(grid, dt)

    def batches(n: int) -> Iterator[tuple[int, Tensor, Parameters]]:
        """Index of its first sample, initial states, parameters."""
        for start in range(0, n, batch_size):
            u0, params = draw(pde, grid, range(start, min(start + batch_size, n)), seed=seed)
            yield start, u0.to(device, dtype), params.to(device, dtype)

    def solved(u0: Tensor, params: Parameters) -> Tensor:
        return reference_trajectory(pde, u0, params, grid, dt, n_steps, refine=refine, substeps=substeps)

    def judged(u0: Tensor, params: Parameters) -> Tensor:
        return estimated_error(pde, u0, params, grid, dt, n_steps, refine=refine, substeps=substeps)

    def checked(solve: Callable[[Tensor, Parameters], Tensor], start: int, u0: Tensor, params: Parameters) -> Tensor:
        try:
            return solve(u0, params)
        except ValueError:
            for i in range(len(u0)):
                try:
                    solve(u0[i : i + 1], params[i : i + 1])
                except ValueError as error:
                    values = zip((q.name for q in problem.scalars), params.scalars[i].tolist(), strict=True)
                    named = ", ".join((f"seed {seed}", *(f"{name} {value:.6g}" for name, value in values)))
                    # The solver counts in the batch it is given, which holds this sample alone.
                    said = str(error).removeprefix("sample 0: ")
                    raise ValueError(
                        f"{out} is not written: sample {start + i} of {n_samples} ({named}) cannot be solved with "
                        f"refine={refine} and substeps={substeps}: {said}. Or draw from an easier family (pde.*)"
                    ) from error
            raise

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn()) as progress:
        n_judged = min(error_samples, n_samples)
        judging = progress.add_task("estimating the error", total=n_judged)
        errors = []
        for start, u0, params in batches(n_judged):
            errors.append(checked(judged, start, u0, params).cpu())
            progress.advance(judging, len(u0))
        measured = torch.cat(errors).double()
        estimate = ErrorEstimate(
            mean=float(measured.mean()), maximum=float(measured.max()), n_samples=n_judged, method=METHOD
        )
        fine = refined(grid, refine)
        provenance = Provenance(
            problem=problem,
            solver=type(reference_solver(pde, fine, dt, substeps=substeps)).__name__,
            dtype=str(dtype).removeprefix("torch."),
            n=fine.shape,
            substeps=0 if problem.steady else substeps,
            estimated_error=estimate,
            seed=seed,
            command=command,
        )
        # Of a stationary trajectory, (guess, solution), the solution is stored.
        first = 1 if problem.steady else 0
        solving = progress.add_task("solving", total=n_samples)
        with Writer(
            out,
            provenance,
            n_trajectories=n_samples,
            n_times=n_steps + 1 - first,
            dtype=stored_dtype,
            overwrite=overwrite,
        ) as writer:
            for start, u0, params in batches(n_samples):
                writer.append(checked(solved, start, u0, params)[:, first:], params)
                progress.advance(solving, len(u0))
    return estimate


@hydra.main(config_path="pkg://duhamel.conf", config_name="generate", version_base="1.3")
def main(config: DictConfig) -> None:
    """Generate one file as the configuration says."""
    for name in ("dtype", "stored_dtype"):
        if config[name] not in DTYPES:
            raise ValueError(f"{name} must be one of {sorted(DTYPES)}, got {config[name]!r}")
    torch.set_num_threads(config.threads)
    pde: PDE = hydra.utils.instantiate(config.pde)
    estimate = generate(
        pde,
        pde.grid(tuple(config.shape)),
        Path(config.out),
        n_samples=config.n_samples,
        dt=float(config.dt),
        n_steps=config.n_steps,
        refine=config.refine,
        substeps=config.substeps,
        seed=config.seed,
        batch_size=config.batch_size,
        error_samples=config.error_samples,
        command=shlex.join(["python", "-m", "duhamel.datasets.generate", *HydraConfig.get().overrides.task]),
        dtype=DTYPES[config.dtype],
        stored_dtype=DTYPES[config.stored_dtype],
        device=config.device,
        overwrite=config.overwrite,
    )
    print(
        f"{config.out}: {config.n_samples} trajectories; estimated relative L2 error of the solver: "
        f"mean {estimate.mean:.1e}, at most {estimate.maximum:.1e} of {estimate.n_samples} samples"
    )


if __name__ == "__main__":
    main()
