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
    advance = recomputed(step) if checkpoint else step
    states = [u0]
    for _ in range(n_steps):
        states.append(advance(states[-1], params))
    return torch.stack(states if include_initial else states[1:], dim=1)


def recomputed(step: Propagator) -> Propagator:
    """The same step, which keeps its input alone and is computed again in the backward pass.

    The step must be a function of its arguments: a step that draws numbers would draw others the second time.
    """

    def advance(u: State, params: Parameters) -> State:
        u_next: State = checkpointed(step, u, params, use_reentrant=False)
        return u_next

    return advance


def first_non_finite_step(u: Float[Tensor, "batch time channel *space"]) -> int | None:
    """Index along time of the first state that holds a NaN or an infinity, None where there is none."""
    finite = u.isfinite().flatten(2).all(dim=2).all(dim=0)
    return None if bool(finite.all()) else int((~finite).nonzero()[0, 0])
