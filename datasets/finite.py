"""NaN and infinity are refused where they are read, by name: as a loss or a mean they would be found out late."""

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from jaxtyping import Float
from torch import Tensor

from duhamel.datasets.schema import Source
from duhamel.datasets.windows import Windows


def require_finite_states(
    u: Float[np.ndarray, "time channel *space"], source: Source, trajectory: int, *, start: int
) -> None:
    """States start, start + 1, ... of a trajectory; ValueError names the channel and the first time."""
    finite = np.isfinite(u)
    if finite.all():
        return
    time, channel = np.argwhere(~finite)[0][:2].tolist()
    problem = source.problem
    first = "" if problem.steady else f", first at t = {problem.dt * (start + time):g} (state {start + time})"
    _refuse(source, trajectory, f"channel {problem.channels[channel].name!r}", first)


def require_finite_parameters(
    fields: Float[np.ndarray, "coefficient *space"],
    scalars: Float[np.ndarray, " param"],
    source: Source,
    trajectory: int,
) -> None:
    """Coefficients and scalars of a trajectory; ValueError names the one, also where it leaves its physical bounds."""
    problem = source.problem
    for kind, quantities, values in (
        ("coefficient", problem.coefficients, fields),
        ("scalar", problem.scalars, scalars),
    ):
        for quantity, value in zip(quantities, values, strict=True):
            if not np.isfinite(value).all():
                _refuse(source, trajectory, f"{kind} {quantity.name!r}", "")
            low, high = np.min(value), np.max(value)
            if low < quantity.minimum or high > quantity.maximum:
                raise ValueError(
                    f"{source.path}: {kind} {quantity.name!r} of trajectory {trajectory} goes from {low:g} to "
                    f"{high:g}, its bounds are {quantity.minimum:g} and {quantity.maximum:g}"
                )


def _refuse(source: Source, trajectory: int, what: str, first: str) -> NoReturn:
    raise ValueError(
        f"{source.path}: {what} of trajectory {trajectory} is NaN or infinite{first}; "
        f"run `python -m duhamel.datasets.doctor {source.path}`"
    )


class FiniteWindows(Windows):
    """Windows to evaluate on, whose every batch is finite or refused. Training ones are checked by the statistics."""

    def fill(
        self,
        indices: Sequence[int],
        u: Float[Tensor, "batch time channel *space"],
        fields: Float[Tensor, "batch coefficient *space"],
        scalars: Float[Tensor, "batch param"],
    ) -> None:
        super().fill(indices, u, fields, scalars)
        for row, index in enumerate(indices):
            i, trajectory, start = self.locate(index)
            require_finite_states(u[row].numpy(), self.sources[i], trajectory, start=start)
            require_finite_parameters(fields[row].numpy(), scalars[row].numpy(), self.sources[i], trajectory)

    def read_through(self) -> None:
        """Refuse now what any batch would be refused for."""
        for index in range(len(self)):
            self.batch([index])
