"""Which states of a window are predicted from which: the part of training that a curriculum steers."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Parameters, Propagator, rollout

States = Float[Tensor, "batch time channel *space"]
Segment = Float[Tensor, "segment step channel *space"]


@runtime_checkable
class Unroll(Protocol):
    def __call__(self, step: Propagator, z: States, params: Parameters, horizon: int) -> tuple[Segment, Segment]:
        """Predictions and their targets from a window z of true states, with `horizon` steps taken in a row."""
        ...


def _cut(z: States, horizon: int) -> tuple[Segment, int]:
    """Segments of horizon + 1 states that together reach every state of the window, and how many there are.

    Where the horizon does not divide the window, the last segment reaches back.
    """
    n_steps = z.shape[1] - 1
    starts = [*range(0, n_steps - horizon + 1, horizon)]
    if starts[-1] != n_steps - horizon:
        starts.append(n_steps - horizon)
    segments = torch.stack([z[:, s : s + horizon + 1] for s in starts], dim=1)
    return segments.flatten(0, 1), len(starts)


class Segments:
    """The window cut into segments of `horizon` steps, each rolled out from its true first state, all in one batch.

    Every state but the first is a target, whatever the horizon: one pass costs the same from teacher forcing
    (horizon 1) to the full rollout.
    """

    def __call__(self, step: Propagator, z: States, params: Parameters, horizon: int) -> tuple[Segment, Segment]:
        segments, n_segments = _cut(z, horizon)
        repeated = params.repeat_interleave(n_segments)
        return rollout(step, segments[:, 0], repeated, horizon), segments[:, 1:]


class Prefix:
    """The first `horizon` steps in a row from the first state, every later one from the truth.

    Source: Takamoto, Alesiani and Niepert (2023), CAPE, curriculum learning.
    """

    def __call__(self, step: Propagator, z: States, params: Parameters, horizon: int) -> tuple[Segment, Segment]:
        first = rollout(step, z[:, 0], params, horizon)
        n_later = z.shape[1] - 1 - horizon
        if not n_later:
            return first, z[:, 1:]
        forced = step(z[:, horizon:-1].flatten(0, 1), params.repeat_interleave(n_later))
        return torch.cat([first, forced.unflatten(0, (z.shape[0], n_later))], dim=1), z[:, 1:]


class Pushforward:
    """`horizon` steps in a row of which the last alone carries a gradient: it learns to correct the surrogate's drift.

    Source: Brandstetter, Worrall and Welling (2022), Message Passing Neural PDE Solvers, section 3.1.
    """

    def __call__(self, step: Propagator, z: States, params: Parameters, horizon: int) -> tuple[Segment, Segment]:
        segments, n_segments = _cut(z, horizon)
        repeated = params.repeat_interleave(n_segments)
        pushed = segments[:, 0]
        if horizon > 1:
            with torch.no_grad():
                pushed = rollout(step, pushed, repeated, horizon - 1)[:, -1]
        return rollout(step, pushed, repeated, 1), segments[:, -1:]
