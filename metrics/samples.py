"""A few whole trajectories, kept to be looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duhamel.fields import Parameters, State


@dataclass(frozen=True)
class Samples:
    """Trajectories in physical units, predicted and true, without the initial state.

    index: place in the order in which samples came.
    error: relative L2 of the whole trajectory.
    """

    index: Int[Tensor, " batch"]
    error: Float[Tensor, " batch"]
    initial: State
    prediction: Float[Tensor, "batch time channel *space"]
    target: Float[Tensor, "batch time channel *space"]
    params: Parameters

    def map(self, function: Callable[[Tensor], Tensor]) -> "Samples":
        """`function` of every tensor."""
        return Samples(
            function(self.index),
            function(self.error),
            function(self.initial),
            function(self.prediction),
            function(self.target),
            Parameters(function(self.params.scalars), function(self.params.fields)),
        )

    def select(self, rows: Int[Tensor, " row"]) -> "Samples":
        """Some rows, copied: a view would keep the whole batch in memory."""
        return self.map(lambda x: x.index_select(0, rows))

    def worst(self) -> "Samples":
        """The one row of largest error, NaN being larger than any number; found without waiting for the device."""
        return self.select(self.error.nan_to_num(nan=torch.inf, posinf=torch.inf).argmax()[None])


def concatenate(parts: Sequence[Samples]) -> Samples:
    """Rows of all parts, in order."""
    return Samples(
        torch.cat([part.index for part in parts]),
        torch.cat([part.error for part in parts]),
        torch.cat([part.initial for part in parts]),
        torch.cat([part.prediction for part in parts]),
        torch.cat([part.target for part in parts]),
        Parameters(
            torch.cat([part.params.scalars for part in parts]), torch.cat([part.params.fields for part in parts])
        ),
    )
