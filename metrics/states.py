"""Shapes of what errors compare and return, and the checks and precision they share."""

from jaxtyping import Float
from torch import Tensor

Fields = Float[Tensor, "batch time channel *space"]
PerTrajectory = Float[Tensor, " batch"]
PerState = Float[Tensor, "batch time"]
PerChannel = Float[Tensor, "batch time channel"]


def at_least_float32(u: Tensor) -> Tensor:
    """`u` itself, or in float32 where its dtype is narrower."""
    return u if u.dtype.itemsize >= 4 else u.float()


def pair(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both at float32 or wider; raises ValueError where their shapes differ (nothing is broadcast)."""
    if prediction.shape != target.shape or prediction.ndim < 4:
        raise ValueError(
            f"prediction of shape {tuple(prediction.shape)} and target of shape {tuple(target.shape)} must both be "
            "[batch, time, channel, *space]"
        )
    return at_least_float32(prediction), at_least_float32(target)


def space_mean(u: Fields) -> PerChannel:
    """Mean over all grid points."""
    return u.flatten(3).mean(3)
