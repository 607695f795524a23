"""The two things a propagator consumes and the one it yields."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.grid import Grid


@dataclass(frozen=True)
class Parameters:
    """What tells one instance of a problem from another: numbers and fields. Zero-width tensors, never None.

    >>> import torch
    >>> from duhamel.fields import Parameters
    >>> Parameters.none(2, (16,)).fields.shape
    torch.Size([2, 0, 16])
    """

    scalars: Float[Tensor, "batch param"]
    fields: Float[Tensor, "batch coefficient *space"]

    @classmethod
    def none(
        cls,
        batch: int,
        shape: tuple[int, ...],
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> "Parameters":
        """Parameters of a problem that has none."""
        return cls(
            torch.zeros(batch, 0, dtype=dtype, device=device), torch.zeros(batch, 0, *shape, dtype=dtype, device=device)
        )

    def to(self, *args: Any, **kwargs: Any) -> "Parameters":
        return Parameters(self.scalars.to(*args, **kwargs), self.fields.to(*args, **kwargs))

    def pin_memory(self) -> "Parameters":
        return Parameters(self.scalars.pin_memory(), self.fields.pin_memory())

    def __getitem__(self, samples: slice | Tensor) -> "Parameters":
        return Parameters(self.scalars[samples], self.fields[samples])

    def repeat_interleave(self, n: int) -> "Parameters":
        """Each sample n times in a row: parameters of n states taken from one trajectory."""
        return Parameters(self.scalars.repeat_interleave(n, 0), self.fields.repeat_interleave(n, 0))


@dataclass(frozen=True)
class Trajectory:
    """States at equal time steps, and the parameters they evolve under.

    dt: time between states; 0 for a stationary problem, whose trajectory is (guess, solution).
    """

    u: Float[Tensor, "batch time channel *space"]
    params: Parameters
    grid: Grid
    dt: float

    def __post_init__(self) -> None:
        if tuple(self.u.shape[3:]) != self.grid.shape:
            raise ValueError(f"states of shape {tuple(self.u.shape)} do not lie on a grid of shape {self.grid.shape}")

    @property
    def n_steps(self) -> int:
        return self.u.shape[1] - 1

    def to(self, *args: Any, **kwargs: Any) -> "Trajectory":
        return replace(self, u=self.u.to(*args, **kwargs), params=self.params.to(*args, **kwargs))

    def pin_memory(self) -> "Trajectory":
        return replace(self, u=self.u.pin_memory(), params=self.params.pin_memory())
