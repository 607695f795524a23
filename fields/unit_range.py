"""Fields scaled to the unit interval."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.grid import Grid
from duhamel.fields.random_fields import RandomField


@dataclass(frozen=True, kw_only=True)
class UnitRange:
    """Each sample of a field, shifted and scaled to run from 0 to 1 over its grid: densities and fractions.

    The extremes are those on the grid: the one way in which a sample depends on it.
    """

    field: RandomField

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        u = self.field.sample(grid, n_samples, generator)
        space = tuple(range(1, u.ndim))
        low, high = u.amin(space, keepdim=True), u.amax(space, keepdim=True)
        return (u - low) / (high - low)
