"""Drift of what the equation conserves."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, State


@runtime_checkable
class Conserving(Protocol):
    """A PDE that names its invariants (`duhamel.pdes.PDE` does): numbers that the exact solution keeps."""

    def invariants(self, u: State, grid: Grid) -> dict[str, Float[Tensor, " batch"]]: ...


def invariant_drift(
    initial: State, trajectory: Float[Tensor, "batch time channel *space"], *, pde: Conserving, grid: Grid
) -> dict[str, Float[Tensor, "batch time"]]:
    """|I(u(t)) - I(u(0))| / s for each invariant I, with the scale s the larger of |I(u(0))| and |I(|u(0)|)|.

    s is |I(u(0))| where the state is nowhere negative. For a state whose positive and negative parts cancel (momentum,
    the mean of a wave) that would be a ratio to rounding errors: s is then the size that the parts have on their own.
    Where s is zero too, the drift is inf, or NaN if there is none.
    """
    batch, time = trajectory.shape[:2]
    before = pde.invariants(initial, grid)
    size = pde.invariants(initial.abs(), grid)
    along = pde.invariants(trajectory.flatten(0, 1), grid)
    drift = {}
    for name, start in before.items():
        scale = torch.maximum(start.abs(), size[name].abs())
        drift[name] = (along[name].reshape(batch, time) - start[:, None]).abs() / scale[:, None]
    return drift
