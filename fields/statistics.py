"""What training data look like, channel by channel: all that a normaliser and an honest warning need."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Population moments and range of several quantities, each over samples, times and space, in float64.

    log_mean, log_std: moments of the natural logarithm; NaN for a quantity that is anywhere zero or negative.
    """

    mean: Float[Tensor, " quantity"]
    std: Float[Tensor, " quantity"]
    minimum: Float[Tensor, " quantity"]
    maximum: Float[Tensor, " quantity"]
    log_mean: Float[Tensor, " quantity"]
    log_std: Float[Tensor, " quantity"]


@dataclass(frozen=True)
class Statistics:
    """Moments of the training split.

    channels: of the states.
    increments: of u(t + dt) - u(t); for a stationary problem those of the solution itself. Its log moments are those
        of log u(t + dt) - log u(t).
    scalars, coefficients: of the parameters; zero-width where there are none.
    """

    channels: Moments
    increments: Moments
    scalars: Moments
    coefficients: Moments
