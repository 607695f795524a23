"""Semilinear equations on as many points as their solution needs, sample by sample and frame by frame."""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from duhamel.fields import Centring, Grid, Parameters
from duhamel.fields.fourier_space import FourierSpace
from duhamel.pdes import PDE
from duhamel.pdes.semilinear import SemilinearPDE
from duhamel.solvers.base import UnresolvedError
from duhamel.solvers.etdrk import ETDRK4, Coefficients
from duhamel.solvers.refinement import relative_distance
from duhamel.solvers.transfer import PointValues

# Points an axis of the coarsest grid: its tail band is then wide enough for the harmonics of a wave of period 1 / 8.
COARSEST = 256
# Steps of dt, on whatever grid: what is smooth in space is not always slow.
FEWEST_STEPS = 4
# c^2 dt / nu up to which a step with transport at speed c in its stages and diffusion nu in its exponentials grows at
# no wavenumber; it does from 4.7 on, at k^2 = 4.8 / (nu dt), on every grid that holds that mode.
STABLE = 4.5
# A sample goes to half the points where its spectral tail there would be this much below the bound.
MARGIN = 0.01

# Samples, and their coefficients "sample channel *held".
Group = tuple[Tensor, Tensor]


@dataclass
class _Level:
    """One grid: its solver, and the step coefficients of those samples of a batch that have been here."""

    solver: ETDRK4
    rows: dict[int, Coefficients] = field(default_factory=dict)
    last: tuple[list[int], Coefficients] | None = None

    def advance(
        self, samples: Int[Tensor, " group"], v: Complex[Tensor, "group channel *held"], params: Parameters
    ) -> tuple[Complex[Tensor, "group channel *held"], Float[Tensor, " group"]]:
        chosen = samples.tolist()
        if self.last is None or self.last[0] != chosen:
            for i in chosen:
                if i not in self.rows:
                    self.rows[i] = self.solver.step_coefficients(params[i : i + 1], v)
            columns = zip(*(vars(self.rows[i]).values() for i in chosen), strict=True)
            self.last = (chosen, Coefficients(*map(torch.cat, columns)))
        return self.solver.advance(v, params[samples], self.last[1])

    def forget(self) -> None:
        self.rows.clear()
        self.last = None


class AdaptiveETDRK4:
    """ETDRK4 on one of several grids, n, 2 n, 4 n, ... points an axis with proportionally many steps.

    A sample begins a frame (a time dt) on the grid it is on. If its spectral tail exceeds `tail_bound` on the way, the
    frame is solved again with twice the points and steps; where half of them would do, the next frame has half. So a
    shock costs what it costs while it lasts, and a solution that has decayed costs little. No step is longer than
    `STABLE` allows.

    grid: that states are given and returned on; periodic, node-centred, with a power of two times `COARSEST` or more
        points an axis to be halved.
    substeps: of dt, on `grid`; in proportion on others.
    max_refine: the finest grid has spacing h / max_refine, a power of two.
    finer: factor, a power of two, by which points and steps are multiplied on every grid: with a given `schedule`, the
        solution that judges another.
    """

    def __init__(
        self,
        pde: PDE,
        grid: Grid,
        dt: float,
        *,
        substeps: int,
        max_refine: int,
        finer: int = 1,
        tail_bound: float = 1e-6,
    ) -> None:
        if not isinstance(pde, SemilinearPDE) or not all(grid.periodic) or grid.centring is not Centring.NODE:
            raise ValueError(f"max_refine needs a semilinear equation on a periodic node-centred grid, not {pde.name}")
        if max_refine < 1 or max_refine & (max_refine - 1):
            raise ValueError(f"max_refine must be a power of two, got {max_refine}")
        self.pde, self.grid, self.dt = pde, grid, dt
        self.substeps, self.max_refine, self.finer, self.tail_bound = substeps, max_refine, finer, tail_bound
        self._ladders: dict[int, _Ladder] = {}

    def trajectory(
        self,
        u0: Float[Tensor, "batch channel *space"],
        params: Parameters,
        n_steps: int,
        *,
        schedule: Int[Tensor, "step batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch time channel *space"], Int[Tensor, "step batch"]]:
        """States 0, ..., n_steps, and which grid, from the coarsest on, each sample was on in each frame.

        schedule: of another solve of the same samples, to be followed whatever the tails.
        """
        self.pde.require_params(params)
        fewest = self._fewest_steps(u0, params)
        states = torch.empty(len(u0), n_steps + 1, *u0.shape[1:], dtype=u0.dtype, device=u0.device)
        taken = torch.empty(n_steps, len(u0), dtype=torch.long)
        for n in fewest.unique().tolist():
            rows = (fewest == n).nonzero()[:, 0]
            own = None if schedule is None else schedule[:, rows]
            if n not in self._ladders:
                self._ladders[n] = _Ladder(self, n)
            there = rows.to(u0.device)
            states[there], taken[:, rows] = self._ladders[n].trajectory(u0[there], params[there], n_steps, own, rows)
        return states, taken

    def _fewest_steps(self, u0: Float[Tensor, "batch channel *space"], params: Parameters) -> Int[Tensor, " batch"]:
        """Of dt, on whatever grid: a power of two."""
        needed = (self.dt / (STABLE * self.pde.transport_time(u0, params))).clamp_min(FEWEST_STEPS)
        return (2 ** needed.log2().ceil()).long().cpu()


class _Ladder:
    """The grids, each with `fewest` steps of dt or more, and a march up and down them."""

    def __init__(self, chosen: AdaptiveETDRK4, fewest: int) -> None:
        self.grid, self.tail_bound = chosen.grid, chosen.tail_bound
        halvings = 0
        while all(n % 2 ** (halvings + 1) == 0 and n // 2 ** (halvings + 1) >= COARSEST for n in self.grid.shape):
            halvings += 1
        # Points an axis, relative to `grid`.
        ratios = [2.0**k for k in range(-halvings, chosen.max_refine.bit_length())]
        self.home = chosen.pde.space(self.grid)
        self.numbers = torch.empty(0, dtype=torch.long)
        self._levels = [
            _Level(
                ETDRK4(
                    chosen.pde,
                    self.grid.with_shape(tuple(round(n * ratio * chosen.finer) for n in self.grid.shape)),
                    chosen.dt,
                    substeps=max(fewest, math.ceil(chosen.substeps * ratio)) * chosen.finer,
                    tail_bound=math.inf,
                )
            )
            for ratio in ratios
        ]

    def trajectory(
        self,
        u0: Float[Tensor, "batch channel *space"],
        params: Parameters,
        n_steps: int,
        schedule: Int[Tensor, "step batch"] | None,
        numbers: Int[Tensor, " batch"],
    ) -> tuple[Float[Tensor, "batch time channel *space"], Int[Tensor, "step batch"]]:
        """As `AdaptiveETDRK4.trajectory`; numbers: by which an error names the samples."""
        self.numbers = numbers
        for level in self._levels:
            level.forget()
        states = torch.empty(len(u0), n_steps + 1, *u0.shape[1:], dtype=u0.dtype, device=u0.device)
        states[:, 0] = u0
        everyone, v = torch.arange(len(u0), device=u0.device), self.home.modes(u0)
        held = [(everyone[:0], self.home.moved(v[:0], level.solver.space)) for level in self._levels]
        held[-1] = everyone, self.home.moved(v, self._space(-1))
        taken = torch.empty(n_steps, len(u0), dtype=torch.long)
        for step in range(n_steps):
            held = self._settled(held) if schedule is None else self._sorted(held, schedule[step])
            for k, level in enumerate(self._levels):
                samples, v = held[k]
                if not len(samples):
                    continue
                after, tail = level.advance(samples, v, params)
                passed = tail <= self.tail_bound if schedule is None else torch.isfinite(tail)
                if not bool(passed.all()):
                    self._require_finer(k, samples, tail, passed)
                    failed = samples[~passed], self._moved(v[~passed], k, k + 1)
                    held[k + 1] = _together(held[k + 1], failed)
                held[k] = samples[passed], after[passed]
                if len(held[k][0]):
                    states[held[k][0], step + 1] = self._samples(held[k][1], k)
                    taken[step, held[k][0].cpu()] = k
        return states, taken

    def _space(self, level: int) -> FourierSpace:
        return self._levels[level].solver.space

    def _settled(self, held: list[Group]) -> list[Group]:
        """Every sample on the coarsest grid that holds it with a margin, level by level downwards."""
        held = list(held)
        for k in range(len(held) - 1, 0, -1):
            samples, v = held[k]
            if not len(samples):
                continue
            # The 2/3 rule's cut of half the points is at 1/2 of this grid's.
            enough = self._space(k).tail(v, fraction=0.45) <= MARGIN * self.tail_bound
            held[k] = samples[~enough], v[~enough]
            held[k - 1] = _together(held[k - 1], (samples[enough], self._moved(v[enough], k, k - 1)))
        return held

    def _sorted(self, held: list[Group], levels: Int[Tensor, " batch"]) -> list[Group]:
        """Every sample on the grid that it is told."""
        new = [(samples[:0], v[:0]) for samples, v in held]
        for k, (samples, v) in enumerate(held):
            wanted = levels[samples.cpu()]
            for target in wanted.unique().tolist():
                rows = wanted == target
                new[target] = _together(new[target], (samples[rows], self._moved(v[rows], k, target)))
        return new

    def _moved(self, v: Complex[Tensor, "group channel *held"], k: int, to: int) -> Tensor:
        return v if k == to else self._space(k).moved(v, self._space(to))

    def _samples(self, v: Complex[Tensor, "group channel *held"], k: int) -> Float[Tensor, "group channel *space"]:
        """States on the grid that they are stored on."""
        space = self._space(k)
        if any(n < m for n, m in zip(space.grid.shape, self.grid.shape, strict=True)):
            return self.home.samples(space.moved(v, self.home))
        return PointValues().restrict(space.samples(v), space.grid, self.grid)

    def _require_finer(self, k: int, samples: Tensor, tail: Tensor, passed: Tensor) -> None:
        if k < len(self._levels) - 1:
            return
        row, solver = int((~passed).nonzero()[0, 0]), self._levels[k].solver
        raise UnresolvedError(
            f"sample {int(self.numbers[samples[row].cpu()])}: spectral tail {float(tail[row]):.1e} exceeds "
            f"{self.tail_bound:.1e} on the finest grid, of shape {solver.grid.shape} with step "
            f"{solver.dt / solver.substeps:g}: the solution is not resolved. It needs a larger max_refine; a tail of "
            "nan or near 1 from a smooth state asks for more substeps",
            float(tail[row]),
        )


def _together(a: Group, b: Group) -> Group:
    return torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]])


def adaptive_error(
    pde: PDE,
    u0: Float[Tensor, "batch channel *space"],
    params: Parameters,
    grid: Grid,
    dt: float,
    n_steps: int,
    *,
    substeps: int,
    max_refine: int,
) -> Float[Tensor, " batch"]:
    """Relative L2 distance, over all states after the first, to a solve with twice the points and steps a frame."""
    solver = AdaptiveETDRK4(pde, grid, dt, substeps=substeps, max_refine=max_refine)
    judge = AdaptiveETDRK4(pde, grid, dt, substeps=substeps, max_refine=max_refine, finer=2)
    solved, schedule = solver.trajectory(u0, params, n_steps)
    return relative_distance(solved, judge.trajectory(u0, params, n_steps, schedule=schedule)[0])
