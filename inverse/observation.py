"""What sensors see of a trajectory: linear functionals of its states, at the same places on every grid."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from duhamel.fields import Grid
from duhamel.fields.transfer import interpolation_weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Observation(ABC):
    """(u, grid) -> one row of numbers a sample: all places at the first of `steps`, then at the next one.

    steps: states of the trajectory that are seen, counted as Python does: 0 is the initial one, -1 the last.
    channel: the component that is seen.
    mask: of the numbers, in this order; where False a number is missing and left out.
    """

    steps: Sequence[int] = (-1,)
    channel: int = 0
    mask: Bool[Tensor, " sensor"] | None = None

    def __post_init__(self) -> None:
        if len(self.steps) == 0:
            raise ValueError("an observation needs at least one step")

    @abstractmethod
    def read(self, u: Float[Tensor, "batch *space"], grid: Grid) -> Float[Tensor, "batch place"]:
        """The numbers of one state."""

    def __call__(self, u: Float[Tensor, "batch time channel *space"], grid: Grid) -> Float[Tensor, "batch sensor"]:
        states = u[:, list(self.steps), self.channel]
        seen = self.read(states.flatten(0, 1), grid).reshape(len(u), -1)
        if self.mask is None:
            return seen
        if seen.shape[1] != len(self.mask):
            raise ValueError(f"a mask of {len(self.mask)} for {seen.shape[1]} numbers")
        return seen[:, self.mask]


@dataclass(frozen=True, kw_only=True, eq=False)
class Points(Observation):
    """Values at points, by the interpolants of `duhamel.fields.resample`: trigonometric on periodic axes, else cubic.

    positions: "place dim", in the length unit of the grid.
    """

    positions: Float[Tensor, "place dim"] | Sequence[Sequence[float]]
    _weights: dict[Grid, tuple[Tensor, ...]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "positions", torch.as_tensor(self.positions, dtype=torch.float64))

    def _weights_on(self, grid: Grid) -> tuple[Float[Tensor, "place n"], ...]:
        if grid not in self._weights:
            self._weights[grid] = self._interpolation(grid)
        return self._weights[grid]

    def _interpolation(self, grid: Grid) -> tuple[Float[Tensor, "place n"], ...]:
        positions = torch.as_tensor(self.positions)
        if positions.ndim != 2 or positions.shape[1] != grid.ndim:
            raise ValueError(f"positions of shape {tuple(positions.shape)} on a grid of {grid.ndim} axes")
        left = torch.tensor(grid.origin).double()
        inside = (positions >= left) & (positions <= left + torch.tensor(grid.extent).double())
        if not bool(inside.all()):
            raise ValueError(f"positions outside the domain: {positions[~inside.all(dim=1)].tolist()}")
        return tuple(interpolation_weights(grid, positions[:, axis], axis) for axis in range(grid.ndim))

    def read(self, u: Float[Tensor, "batch *space"], grid: Grid) -> Float[Tensor, "batch place"]:
        first, *others = (w.to(u) for w in self._weights_on(grid))
        u = torch.tensordot(u, first, dims=([1], [1])).movedim(-1, 1)
        for weights in others:
            u = torch.einsum("bpn...,pn->bp...", u, weights)
        return u


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchMeans(Observation):
    """Means over boxes: of the samples inside, each standing for its cell.

    boxes: "place dim 2", lower and upper corner along each axis.
    """

    boxes: Float[Tensor, "place dim 2"] | Sequence[Sequence[Sequence[float]]]

    def read(self, u: Float[Tensor, "batch *space"], grid: Grid) -> Float[Tensor, "batch place"]:
        boxes = torch.as_tensor(self.boxes, dtype=torch.float64, device=u.device)
        mesh = grid.mesh(device=u.device).unsqueeze(0)
        low, high = (corner.reshape(*corner.shape, *(1,) * grid.ndim) for corner in boxes.unbind(-1))
        inside = ((mesh >= low) & (mesh < high)).all(dim=1).flatten(1).to(u)
        if bool((inside.sum(dim=1) == 0).any()):
            raise ValueError(f"a box holds no sample of a grid of shape {grid.shape}: {boxes.tolist()}")
        return u.flatten(1) @ (inside / inside.sum(dim=1, keepdim=True)).T


@dataclass(frozen=True, kw_only=True, eq=False)
class FullField(Observation):
    """Every sample of the state: the only observation whose places depend on the grid."""

    def read(self, u: Float[Tensor, "batch *space"], grid: Grid) -> Float[Tensor, "batch place"]:
        return u.flatten(1)


def random_places(n: int, grid: Grid, generator: torch.Generator, *, margin: float = 0.0) -> Float[Tensor, "place dim"]:
    """n points uniform in the domain, `margin` (a share of each side) away from its ends."""
    unit = torch.rand(n, grid.ndim, generator=generator, dtype=torch.float64)
    side, origin = torch.tensor(grid.extent).double(), torch.tensor(grid.origin).double()
    return origin + side * (margin + (1 - 2 * margin) * unit)
