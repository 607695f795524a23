"""What determines the content of a generated data set: every trajectory is a function of seed and index."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.datasets.provenance import ErrorEstimate, Provenance
from duhamel.fields import Grid, Parameters
from duhamel.pdes import PDE
from duhamel.solvers import (
    AdaptiveETDRK4,
    adaptive_error,
    estimated_error,
    reference_solver,
    reference_trajectory,
    refined,
)
from duhamel.version import __version__

METHOD = "relative L2 over all states after the first, against a solve with twice the points and time steps"
ADAPTIVE = f"{METHOD} in every frame"


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


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a data set's bits depend on, on one kind of machine; plain values, so that it travels to workers.

    dt, n_steps: time between stored states, and their number after the first.
    refine, substeps: the solver's grid has spacing h / refine, its step is dt / substeps.
    max_refine: solve each sample, frame by frame, on the coarsest grid that resolves it (`AdaptiveETDRK4`), of spacing
        h / max_refine at most; substeps are then those of the stored grid, and refine is 1.
    warmup: states, dt apart, that are solved but not stored, before those that are; the error is estimated over both.
    batch_size: samples solved at once. Batches start at its multiples whoever solves them: FFTs of a batch may round
        otherwise than those of a part of it.
    error_samples: the first of the samples, on which the numerical error is estimated.
    threads: of the solver.
    """

    pde: PDE
    grid: Grid
    n_samples: int
    dt: float
    n_steps: int
    refine: int
    substeps: int
    seed: int
    batch_size: int
    error_samples: int
    max_refine: int | None = None
    warmup: int = 0
    threads: int = 1
    dtype: torch.dtype = torch.float64
    stored_dtype: torch.dtype = torch.float32
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("n_samples", "batch_size", "error_samples", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.max_refine is not None and self.refine != 1:
            raise ValueError(f"with max_refine, refine must be 1, got {self.refine}")
        if self.warmup < 0 or (self.warmup and self.dt == 0):
            raise ValueError(f"warmup must not be negative, and 0 where dt is 0, got {self.warmup}")

    @property
    def n_times(self) -> int:
        """States stored of a trajectory: of a stationary one, (guess, solution), the solution."""
        return self.n_steps if self.dt == 0 else self.n_steps + 1

    @property
    def bytes_per_sample(self) -> int:
        """Of the stored states."""
        return self.n_times * len(self.pde.channels) * math.prod(self.grid.shape) * self.stored_dtype.itemsize

    def described(self) -> dict[str, Any]:
        """Every entry by name, in plain values: equal for two recipes that make the same data."""
        return plain(self) | {"version": __version__}

    def solved(self, samples: range) -> Iterator[tuple[Float[Tensor, "batch time channel *space"], Parameters]]:
        """Trajectories as they are stored, batch by batch; ValueError names a sample that cannot be solved."""
        for start, u0, params in self._batches(samples):
            yield self._checked(self._solve, start, u0, params)[:, self._first :], params

    def estimate(self) -> ErrorEstimate:
        """Of the solver's error, on the first `error_samples` samples, or all where there are fewer."""
        judged = range(min(self.error_samples, self.n_samples))
        errors = torch.cat([self._checked(self._judge, *batch).cpu() for batch in self._batches(judged)]).double()
        return ErrorEstimate(
            mean=float(errors.mean()),
            maximum=float(errors.max()),
            n_samples=len(errors),
            method=METHOD if self.max_refine is None else ADAPTIVE,
        )

    def provenance(self, estimate: ErrorEstimate, command: str) -> Provenance:
        problem = self.pde.problem(self.grid, self.dt)
        fine = refined(self.grid, self.max_refine or self.refine)
        steps = self.substeps * (self.max_refine or 1)
        solver = "AdaptiveETDRK4"
        if self.max_refine is None:
            solver = type(reference_solver(self.pde, fine, self.dt, substeps=steps)).__name__
        return Provenance(
            problem=problem,
            solver=solver,
            dtype=str(self.dtype).removeprefix("torch."),
            n=fine.shape,
            substeps=0 if problem.steady else steps,
            estimated_error=estimate,
            seed=self.seed,
            command=command,
            warmup=self.warmup,
        )

    @property
    def _first(self) -> int:
        return 1 if self.dt == 0 else self.warmup

    def _batches(self, samples: range) -> Iterator[tuple[int, Tensor, Parameters]]:
        """Index of its first sample, initial states, parameters."""
        if samples.start % self.batch_size:
            raise ValueError(f"batches of {self.batch_size} start at its multiples, samples {samples} asked for")
        for start in range(samples.start, samples.stop, self.batch_size):
            indices = range(start, min(start + self.batch_size, samples.stop))
            u0, params = draw(self.pde, self.grid, indices, seed=self.seed)
            yield start, u0.to(self.device, self.dtype), params.to(self.device, self.dtype)

    def _solve(self, u0: Tensor, params: Parameters) -> Tensor:
        n_steps = self.warmup + self.n_steps
        if self.max_refine is not None:
            return self._adaptive.trajectory(u0, params, n_steps)[0]
        return reference_trajectory(
            self.pde, u0, params, self.grid, self.dt, n_steps, refine=self.refine, substeps=self.substeps
        )

    @cached_property
    def _adaptive(self) -> AdaptiveETDRK4:
        return AdaptiveETDRK4(
            self.pde, self.grid, self.dt, substeps=self.substeps, max_refine=self.max_refine or self.refine
        )

    def _judge(self, u0: Tensor, params: Parameters) -> Tensor:
        of = (self.pde, u0, params, self.grid, self.dt, self.warmup + self.n_steps)
        if self.max_refine is not None:
            return adaptive_error(*of, substeps=self.substeps, max_refine=self.max_refine)
        return estimated_error(*of, refine=self.refine, substeps=self.substeps)

    def _checked(
        self, solve: Callable[[Tensor, Parameters], Tensor], start: int, u0: Tensor, params: Parameters
    ) -> Tensor:
        """The answer of a batch, or a ValueError that names the first of its samples that has none alone."""
        try:
            return solve(u0, params)
        except ValueError:
            for i in range(len(u0)):
                try:
                    solve(u0[i : i + 1], params[i : i + 1])
                except ValueError as error:
                    values = zip((q.name for q in self.pde.scalars), params.scalars[i].tolist(), strict=True)
                    named = ", ".join((f"seed {self.seed}", *(f"{name} {value:.6g}" for name, value in values)))
                    # The solver counts in the batch it is given, which holds this sample alone.
                    said = str(error).removeprefix("sample 0: ")
                    resolution = f"max_refine={self.max_refine}" if self.max_refine else f"refine={self.refine}"
                    raise ValueError(
                        f"sample {start + i} of {self.n_samples} ({named}) cannot be solved with "
                        f"{resolution} and substeps={self.substeps}: {said}. Or draw from an easier family (pde.*)"
                    ) from error
            raise


def plain(value: Any) -> Any:
    """Numbers, strings, lists and mappings that say what an object is made of, whatever its class."""
    if isinstance(value, Enum | torch.dtype | torch.device):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor | np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, type) or callable(value) and hasattr(value, "__qualname__"):
        return value.__qualname__
    names = [f.name for f in fields(value)] if is_dataclass(value) else sorted(vars(value))
    return {"": type(value).__name__} | {name: plain(getattr(value, name)) for name in names}
