"""Repeated application of a propagator: the one loop that solvers, operators and surrogates share."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint as checkpointed

from duhamel.fields.trajectory import Parameters

State = Float[Tensor, "batch channel *space"]
Propagator = Callable[[State, Parameters], State]


def rollout(
    step: Propagator,
    u0: State,
    params: Parameters,
    n_steps: int,
    *,
    include_initial: bool = False,
    checkpoint: bool = False,
) -> Float[Tensor, "batch time channel *space"]:
    """States u(dt), ..., u(n_steps dt), each from the one before.

    checkpoint: keep the states only and recompute the inside of each step in the backward pass; memory then grows by
        one state a step.

    >>> import torch
    >>> from duhamel.fields import Parameters, rollout
    >>> rollout(lambda u, params: 2 * u, torch.ones(1, 1, 4), Parameters.none(1, (4,)), 3)[0, :, 0, 0].tolist()
    [2.0, 4.0, 8.0]
    """
    if n_steps < 1:
        raise ValueError(f"a rollout needs at least one step, got {n_steps}")
    states = [u0]
    for _ in range(n_steps):
        u = checkpointed(step, states[-1], params, use_reentrant=False) if checkpoint else step(states[-1], params)
        states.append(u)
    return torch.stack(states if include_initial else states[1:], dim=1)


def first_non_finite_step(u: Float[Tensor, "batch time channel *space"]) -> int | None:
    """Index along time of the first state that holds a NaN or an infinity, None where there is none."""
    finite = u.isfinite().flatten(2).all(dim=2).all(dim=0)
    return None if bool(finite.all()) else int((~finite).nonzero()[0, 0])
