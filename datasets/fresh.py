"""Training without a file: samples of an equation drawn anew at every step."""

from collections.abc import Iterator, Sequence
from typing import Any

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from duhamel.datasets.recipe import draw, plain
from duhamel.fields import Grid, Moments, Parameters, Problem, Statistics, Trajectory
from duhamel.pdes import PDE
from duhamel.solvers import reference_trajectory

TRAIN, VALIDATION, TEST = 0, 1, 2
RANGE_SAMPLES = 256


class FreshDataModule(lightning.LightningDataModule):
    """Initial states and parameters of an equation, without a solution to train on.

    Each step of the training sees a batch of its own, a function of seed and step; of several processes each takes its
    share of it. Validation and test are solved by
    the reference solver: they judge, nothing is fitted to them.

    shape, dt: of the grid and of the propagator (0: stationary).
    n_validation, n_test: reference solutions of `n_steps` times dt each, solved with `refine` and `substeps` as in
        `duhamel.datasets.generate`.
    statistics: those that change nothing, so that the operator works in the equation's own units; ranges of parameters
        are those of draws, those of solutions are unknown.
    """

    def __init__(
        self,
        pde: PDE,
        *,
        shape: Sequence[int],
        dt: float,
        batch_size: int = 16,
        steps_per_epoch: int = 100,
        n_validation: int = 16,
        n_test: int = 64,
        n_steps: int = 1,
        refine: int = 1,
        substeps: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(batch_size, steps_per_epoch, n_validation, n_test) < 1:
            raise ValueError(
                f"batch_size {batch_size}, steps_per_epoch {steps_per_epoch}, n_validation {n_validation} and n_test "
                f"{n_test} must be positive"
            )
        self.pde, self.grid, self.dt = pde, pde.grid(tuple(shape)), float(dt)
        self.problem: Problem = pde.problem(self.grid, self.dt)
        self.batch_size, self.steps_per_epoch, self.seed = batch_size, steps_per_epoch, seed
        self.sizes = {VALIDATION: n_validation, TEST: n_test}
        self.solve: dict[str, Any] = {"n_steps": n_steps, "refine": refine, "substeps": substeps}
        self.test_names = ("test",)
        self.data_hash = "fresh"
        self.provenance: dict[str, Any] = {"equation": pde.name, "seed": seed, "solver": dict(self.solve)}
        # A checkpoint is refused where it differs.
        drawn = {"seed": seed, "batch_size": batch_size, "shape": list(shape), "dt": self.dt, "equation": plain(pde)}
        self.split = {"fresh": drawn}
        # Nothing is solved for the training; what validates and tests is no part of its cost.
        self.amount = {"n_trajectories": 0, "n_steps": n_steps}
        self._solved: dict[int, Trajectory] = {}

    def setup(self, stage: str | None = None) -> None:
        """Solves the validation and test samples, once."""
        for part, n in self.sizes.items():
            if part not in self._solved:
                u0, params = draw(self.pde, self.grid, range(n), seed=self._seed(part))
                u = reference_trajectory(self.pde, u0, params, self.grid, self.dt, **self.solve)
                self._solved[part] = Trajectory(u.float(), params.to(torch.float32), self.grid, self.dt)

    @property
    def statistics(self) -> Statistics:
        u0, params = draw(self.pde, self.grid, range(RANGE_SAMPLES), seed=self._seed(TRAIN))
        unseen = torch.full((len(self.problem.channels), 1), torch.inf, dtype=torch.float64)
        states = torch.cat([-unseen, unseen], 1) if self.problem.steady else u0.transpose(0, 1).flatten(1)
        solutions = torch.cat([-unseen, unseen], 1)
        return Statistics(
            _unchanged(states),
            _unchanged(solutions if self.problem.steady else torch.zeros_like(solutions)),
            _unchanged(params.scalars.T),
            _unchanged(params.fields.transpose(0, 1).flatten(1)),
        )

    def train_dataloader(self) -> DataLoader[Trajectory]:
        rank, n_processes = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        if n_processes > self.batch_size:
            raise ValueError(f"batch_size {self.batch_size} is less than the {n_processes} processes that share it")
        n = self.batch_size
        share = slice(rank * n // n_processes, (rank + 1) * n // n_processes)
        drawn = _Fresh(self.pde, self.grid, self.dt, batch_size=n, share=share, seed=self._seed(TRAIN))
        steps = _Steps(self.steps_per_epoch)
        return _Loader(drawn, batch_size=None, sampler=steps, pin_memory=torch.cuda.is_available())

    def val_dataloader(self) -> DataLoader[Trajectory]:
        return self._judged(VALIDATION)

    def test_dataloader(self) -> list[DataLoader[Trajectory]]:
        return [self._judged(TEST)]

    def _judged(self, part: int) -> DataLoader[Trajectory]:
        whole = self._solved[part]
        batches = [
            Trajectory(whole.u[i : i + self.batch_size], whole.params[i : i + self.batch_size], whole.grid, whole.dt)
            for i in range(0, len(whole.u), self.batch_size)
        ]
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]

    def _seed(self, part: int) -> int:
        return int(np.random.SeedSequence([self.seed, part]).generate_state(1)[0])


class _Fresh(Dataset[Trajectory]):
    """A share of batch i: initial states and parameters, no solution."""

    def __init__(self, pde: PDE, grid: Grid, dt: float, *, batch_size: int, share: slice, seed: int) -> None:
        self.pde, self.grid, self.dt, self.batch_size, self.share, self.seed = pde, grid, dt, batch_size, share, seed

    def __getitem__(self, step: int) -> Trajectory:
        generator = torch.Generator().manual_seed(
            int(np.random.SeedSequence([self.seed, step]).generate_state(1, np.uint64)[0])
        )
        u0 = self.pde.sample_initial(self.grid, self.batch_size, generator)
        params: Parameters = self.pde.sample_params(self.grid, self.batch_size, generator)
        u, mine = u0[self.share, None].float(), params[self.share].to(torch.float32)
        return Trajectory(u, mine, self.grid, self.dt)


class _Steps(Sampler[int]):
    """Steps of one epoch, counted from the first of the training.

    first: of them to skip when next asked, those before a checkpoint; then 0 again.
    """

    def __init__(self, n: int) -> None:
        self.n, self.epoch, self.first = n, 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        first, self.first = self.first, 0
        return iter(range(self.epoch * self.n + first, (self.epoch + 1) * self.n))


class _Loader(DataLoader[Trajectory]):
    """Its state is its place in the epoch; Lightning keeps that in checkpoints."""

    sampler: _Steps
    n_delivered = 0

    # torch annotates its own iterator class, which is not part of its interface.
    def __iter__(self) -> Any:
        # A generator: Lightning tells the sampler its epoch after it has made the iterator of a resumed run.
        self.n_delivered = self.sampler.first
        for batch in super().__iter__():
            self.n_delivered += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"n_delivered": self.n_delivered}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # All of an epoch delivered is none of the next.
        self.sampler.first = state["n_delivered"] % len(self)


def _unchanged(values: torch.Tensor) -> Moments:
    """The range of each row, and moments that make encoding the identity."""
    zeros = values.new_zeros(len(values))
    empty = not values.numel()
    low, high = (zeros, zeros) if empty else (values.amin(1), values.amax(1))
    return Moments(zeros, zeros + 1, low, high, zeros, zeros + 1)
