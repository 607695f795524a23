"""The baseline that every surrogate must beat: tomorrow is like today."""

import torch

from duhamel.fields import Parameters, State
from duhamel.operators.base import Operator


class Persistence(Operator):
    """u(t + dt) = u(t): a zero increment. For a stationary problem: the mean solution of the training split."""

    own_shift_period = 1
    own_blindness = "nothing changes, whatever the parameters"

    def forward(self, u: State, params: Parameters) -> State:
        return torch.zeros_like(u)
