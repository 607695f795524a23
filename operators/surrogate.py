"""A learned propagator in physical units, with all that is needed to use it and to distrust it."""

import copy
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from duhamel.fields import Grid, Parameters, Problem, State, Trajectory, first_non_finite_step, rollout
from duhamel.operators.base import Operator
from duhamel.operators.card import Card, build, describe
from duhamel.operators.normaliser import Normaliser

HEADER = "duhamel"


class OutsideTrainedRange(UserWarning):
    """A parameter lies where the surrogate was never trained."""


class Surrogate(nn.Module):
    """A propagator (u(t), mu) -> u(t + dt) in physical units: normaliser, operator, problem and card in one.

    >>> import duhamel, torch
    >>> s = duhamel.load("surrogate.safetensors")                        # doctest: +SKIP
    >>> s.solve(torch.sin(x), {"viscosity": 1e-2}, n_steps=40).u.shape   # doctest: +SKIP
    torch.Size([1, 41, 1, 128])
    """

    def __init__(
        self,
        operator: Operator,
        normaliser: Normaliser,
        *,
        trained_range: Mapping[str, tuple[float, float]],
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.operator = operator
        self.normaliser = normaliser
        self.problem: Problem = operator.problem
        self.description = Card(
            problem=self.problem.to_dict(),
            operator=describe(operator),
            trained_range=dict(trained_range),
            data=dict(data or {}),
        )

    @property
    def card(self) -> dict[str, Any]:
        """Problem, operator, trained ranges, test metrics, data and version as plain values."""
        return dict(vars(self.description))

    def add_metrics(self, metrics: Mapping[str, float]) -> None:
        """Records test metrics in the card; null where one is not finite, for which JSON has no number."""
        finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        self.description = replace(self.description, metrics={**self.description.metrics, **finite})

    def add_cost(self, cost: Mapping[str, float | int | str | None]) -> None:
        """Records in the card's `data` what data and training took."""
        self.description = replace(self.description, data={**self.description.data, "cost": dict(cost)})

    def on(self, grid: Grid) -> "Surrogate":
        """The same surrogate, weights shared, for states on another grid."""
        if grid == self.problem.grid:
            return self
        other = copy.copy(self)
        other._modules = {**self._modules, "operator": self.operator.on(grid)}
        other.problem = self.problem.on(grid)
        return other

    def forward(self, u: State, params: Parameters) -> State:
        """u(t + dt) from u(t), both in physical units."""
        return self.normaliser.decode(
            self.step_encoded(self.normaliser.encode(u), self.normaliser.encode_parameters(params))
        )

    def step_encoded(self, z: State, params: Parameters) -> State:
        """The same step on encoded states and parameters: what training unrolls."""
        return self.normaliser.advance(z, self.operator(z, params))

    def solve(
        self,
        u0: Float[Tensor, "..."] | None,
        params: Parameters | Mapping[str, float | Tensor],
        n_steps: int = 1,
        *,
        grid: Grid | None = None,
    ) -> Trajectory:
        """States u0, u(dt), ..., u(n_steps dt) in physical units; for a stationary problem (guess, solution).

        u0: one state (channel, *space) or a batch of them; None for a stationary problem, whose guess is zeros and
            which takes one step. One state serves several sets of parameters, and one set several states.
        grid: where the states lie; without it, another number of points than in training is taken as another sampling
            of the same domain.
        params: numbers or tensors by name (a coefficient field has the shape of the grid), or `Parameters`.
        Warns with `OutsideTrainedRange` where a parameter lies outside the range met in training.
        Raises ValueError for a missing or unknown parameter, one that is not positive though the surrogate takes its
        logarithm, a state or field of the wrong shape, numbers of samples that differ, a guess or more steps than one
        where the problem is stationary, or a rollout that is not finite, naming the step.
        """
        if self.problem.steady and (n_steps != 1 or (u0 is not None and bool(u0.any()))):
            raise ValueError(
                "a stationary problem is solved in one step from a guess of zeros: leave out u0 and n_steps"
            )
        state, parameters = self._inputs(u0, params)
        self.normaliser.check_positive(state, parameters)
        self._warn_outside(parameters)
        there = grid or self.problem.grid.with_shape(tuple(state.shape[2:]))
        if there.shape != tuple(state.shape[2:]):
            raise ValueError(f"states on {tuple(state.shape[2:])} points are said to lie on a grid of {there.shape}")
        with torch.no_grad():
            u = rollout(self.on(there), state, parameters, n_steps, include_initial=True)
        step = first_non_finite_step(u)
        if step is not None:
            raise ValueError(f"the solution is not finite from step {step} of {n_steps} on")
        return Trajectory(u, parameters, there, self.problem.dt)

    def _inputs(
        self, u0: Tensor | None, params: Parameters | Mapping[str, float | Tensor]
    ) -> tuple[Tensor, Parameters]:
        weight = self.normaliser.increment_scale
        dim, n_channels = self.problem.grid.ndim, len(self.problem.channels)
        if u0 is not None:
            if u0.ndim == dim + 1:
                u0 = u0[None]
            if u0.ndim != dim + 2 or u0.shape[1] != n_channels:
                raise ValueError(
                    f"a state of shape {tuple(u0.shape)}: expected (batch, {n_channels}, {dim} axes of space) for "
                    f"channels {[q.name for q in self.problem.channels]}"
                )
            u0 = u0.to(weight)
        if not isinstance(params, Parameters):
            params = self._named(params, u0)
        params = params.to(weight)
        wanted, given = (len(self.problem.scalars), len(self.problem.coefficients)), (params.scalars, params.fields)
        if tuple(p.shape[1] for p in given) != wanted:
            raise ValueError(
                f"parameters of {given[0].shape[1]} numbers and {given[1].shape[1]} fields, the surrogate takes "
                f"{wanted[0]} and {wanted[1]}: {[q.name for q in (*self.problem.scalars, *self.problem.coefficients)]}"
            )
        if u0 is None:
            if not self.problem.steady:
                raise ValueError("an evolution problem needs its initial state u0")
            space = params.fields.shape[2:] if self.problem.coefficients else self.problem.grid.shape
            u0 = weight.new_zeros(params.scalars.shape[0], n_channels, *space)
        n, m = len(u0), len(params.scalars)
        if n != m and min(n, m) != 1:
            raise ValueError(f"{n} states are given with parameters of {m} samples")
        return u0.expand(max(n, m), *u0.shape[1:]), params if m == max(n, m) else params.repeat_interleave(n)

    def _named(self, params: Mapping[str, float | Tensor], u0: Tensor | None) -> Parameters:
        dim = self.problem.grid.ndim
        scalars, coefficients = self.problem.scalars, self.problem.coefficients
        expected = {q.name for q in (*scalars, *coefficients)}
        if set(params) != expected:
            raise ValueError(f"parameters {sorted(params)} given, the surrogate takes {sorted(expected)}")
        like = self.normaliser.increment_scale
        given = {name: torch.as_tensor(value, dtype=like.dtype, device=like.device) for name, value in params.items()}
        numbers = [given[q.name].reshape(-1) for q in scalars]
        fields = [f[None] if f.ndim == dim else f for f in (given[q.name] for q in coefficients)]
        space = u0.shape[2:] if u0 is not None else fields[0].shape[1:] if fields else self.problem.grid.shape
        for q, field in zip(coefficients, fields, strict=True):
            if field.ndim != dim + 1 or field.shape[1:] != space:
                raise ValueError(
                    f"{q.name} of shape {tuple(given[q.name].shape)}, expected a field of {tuple(space)} points"
                )
        sizes = {len(t) for t in (*numbers, *fields)} - {1}
        if len(sizes) > 1:
            raise ValueError(f"parameters are given of different numbers of samples: {sorted(sizes)}")
        batch = max(sizes, default=1)
        return Parameters(
            torch.stack([t.expand(batch) for t in numbers], 1) if numbers else like.new_zeros(batch, 0),
            torch.stack([f.expand(batch, *space) for f in fields], 1) if fields else like.new_zeros(batch, 0, *space),
        )

    def _warn_outside(self, params: Parameters) -> None:
        groups = ((self.problem.scalars, params.scalars), (self.problem.coefficients, params.fields))
        named = [(q, values) for quantities, v in groups for q, values in zip(quantities, v.unbind(1), strict=True)]
        for q, values in named:
            low, high = self.description.trained_range[q.name]
            slack = 1e-6 * max(abs(low), abs(high))
            outside = (values < low - slack) | (values > high + slack)
            if bool(outside.any()):
                worst = values[outside]
                warnings.warn(
                    f"{q.name} from {worst.min().item():g} to {worst.max().item():g} asked for, trained on "
                    f"[{low:g}, {high:g}]: the error may be far above the test error",
                    OutsideTrainedRange,
                    stacklevel=3,
                )

    def save(self, path: str | Path) -> None:
        """One safetensors file: weights and normaliser as tensors, the card as JSON in its header. Atomic."""
        path = Path(path)
        partial = path.with_name(f".{path.name}.partial")
        tensors = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, partial, metadata={HEADER: self.description.to_json()})
        os.replace(partial, path)

    def export(self, path: str | Path) -> None:
        """Writes one step in physical units for other runtimes: .onnx or .pt2 (AOTInductor), batch and grid free.

        What is written has given the surrogate's results on another batch and a finer grid. Needs the extra `export`.
        Raises ValueError for another ending, for operators bound to their resolution, and for those without a graph
        that serves other grids (kernels of a radius in space have another number of points on each); then there is no
        file.
        """
        from duhamel.operators import export  # the compiler is imported by those who use it

        export.write(self, path)

    @classmethod
    def load(cls, path: str | Path, map_location: str | torch.device = "cpu") -> "Surrogate":
        """The surrogate in a file that `save` wrote.

        Runs nothing that the file holds: tensors and JSON only, operators of `duhamel.operators` only.
        Raises FileNotFoundError, or ValueError naming the file and what is wrong with it.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such surrogate file")
        try:
            with safe_open(path, framework="pt", device=str(map_location)) as file:
                header = (file.metadata() or {}).get(HEADER)
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except SafetensorError as error:
            raise ValueError(f"{path}: not a safetensors file ({error})") from error
        if header is None:
            raise ValueError(f"{path}: a safetensors file, but not a surrogate (its header has no {HEADER!r} entry)")
        card = Card.from_json(header, path=str(path))
        problem = Problem.from_dict(card.problem)
        with torch.device("meta"):
            operator = build(card.operator, problem, path=str(path))
        self = cls(operator, Normaliser(problem), trained_range=card.trained_range)
        self.description = card
        try:
            self.load_state_dict(tensors, strict=True, assign=True)
        except RuntimeError as error:
            raise ValueError(f"{path}: its tensors do not fit the operator of its card ({error})") from error
        return self.eval()


def load(path: str | Path, map_location: str | torch.device = "cpu") -> Surrogate:
    """A saved surrogate: see `Surrogate.load`."""
    return Surrogate.load(path, map_location)
