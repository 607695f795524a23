"""Losses on encoded states, in float32 or wider: half precision is widened, double precision kept."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid
from duhamel.metrics import errors
from duhamel.metrics.states import at_least_float32

States = Float[Tensor, "batch time channel *space"]


@runtime_checkable
class Loss(Protocol):
    def __call__(self, prediction: States, target: States, grid: Grid) -> Float[Tensor, ""]: ...


class RelativeL2:
    """Mean over samples of ||p - y|| / ||y||, the norm over time, channels and space together.

    floor: least norm (root mean square) that divides, so that a sample at rest does not outweigh all others.
    """

    def __init__(self, *, floor: float = 1e-3) -> None:
        self.floor = floor

    def __call__(self, prediction: States, target: States, grid: Grid) -> Float[Tensor, ""]:
        error = at_least_float32(prediction - target).square().flatten(1).mean(1).sqrt()
        norm = at_least_float32(target).square().flatten(1).mean(1).sqrt()
        return (error / norm.clamp_min(self.floor)).mean()


class RelativeSobolev:
    """Mean over samples of `duhamel.metrics.sobolev`: of order 1 sqrt(||e||^2 + ||grad e||^2) over the same of y.

    Not for data with samples that are zero throughout: they have no relative error.
    order: derivatives that count; each weighs small scales more.
    """

    def __init__(self, *, order: int = 1) -> None:
        if order < 0:
            raise ValueError(f"the order of a Sobolev norm must not be negative, got {order}")
        self.order = order

    def __call__(self, prediction: States, target: States, grid: Grid) -> Float[Tensor, ""]:
        return errors.sobolev(prediction, target, grid, order=self.order).mean()


class NormalisedMSE:
    """Mean square error of encoded states: every channel counts in units of its own standard deviation."""

    def __call__(self, prediction: States, target: States, grid: Grid) -> Float[Tensor, ""]:
        return torch.mean(at_least_float32(prediction - target).square())
