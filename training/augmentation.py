"""Symmetries of an equation as more training data."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch

from duhamel.fields import Parameters, Trajectory


@runtime_checkable
class Augmentation(Protocol):
    def __call__(self, batch: Trajectory, generator: torch.Generator) -> Trajectory:
        """The batch, transformed at random by a symmetry of its equation; `generator` is on the CPU."""
        ...


class NoAugmentation:
    def __call__(self, batch: Trajectory, generator: torch.Generator) -> Trajectory:
        return batch


class SwapAxes:
    """(x, y) -> (y, x) with probability one half for each batch: a symmetry of isotropic equations of scalar fields.

    axes: the two space axes; the grid must be the same along both. Raises ValueError where it is not.
    """

    def __init__(self, axes: Sequence[int] = (0, 1)) -> None:
        if len(axes) != 2 or axes[0] == axes[1]:
            raise ValueError(f"two different axes are swapped, got {axes}")
        self.axes = tuple(axes)

    def __call__(self, batch: Trajectory, generator: torch.Generator) -> Trajectory:
        first, second = self.axes
        grid = batch.grid
        if max(self.axes) >= grid.ndim:
            raise ValueError(f"axes {self.axes} are swapped, the data have {grid.ndim}")
        for along in (grid.shape, grid.extent, grid.boundary, grid.origin):
            if along[first] != along[second]:
                raise ValueError(f"axes {self.axes} of {grid} differ: swapping them is no symmetry")
        if bool(torch.rand((), generator=generator) < 0.5):
            return batch
        fields = batch.params.fields.transpose(2 + first, 2 + second)
        return replace(
            batch,
            u=batch.u.transpose(3 + first, 3 + second),
            params=Parameters(batch.params.scalars, fields),
        )
