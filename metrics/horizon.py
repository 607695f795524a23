"""How long a rollout can be trusted."""

from jaxtyping import Float
from torch import Tensor


def horizon(error: Float[Tensor, "batch time"], threshold: float) -> Float[Tensor, " batch"]:
    """Steps that each sample completes before its error first exceeds `threshold`: time in units of dt.

    error: of the states after 1, 2, ... steps. 0 where the first step already exceeds the threshold. A sample that
    never exceeds it gets the number of steps: its horizon is censored, at least that long. NaN exceeds every threshold.

    >>> import torch
    >>> from duhamel.metrics import horizon
    >>> horizon(torch.tensor([[0.1, 0.3, 0.1], [0.1, 0.1, 0.1]]), 0.2).tolist()
    [1.0, 3.0]
    """
    # Not `error > threshold`: that is false for NaN.
    return (error <= threshold).to(error.dtype).cumprod(1).sum(1)


def geometric_mean(curve: Float[Tensor, "*batch time"]) -> Float[Tensor, "*batch"]:
    """Geometric mean over time, apebench's summary of an error that grows over orders of magnitude.

    Zero where one entry is zero.
    """
    return curve.log().mean(-1).exp()
