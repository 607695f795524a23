"""Losses that ask for more than predictions and targets: the surrogate itself, its equation, its parts."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Parameters, Trajectory, resample, rollout
from duhamel.metrics import errors
from duhamel.operators import Surrogate
from duhamel.operators.cape import ChannelAttention
from duhamel.pdes import EQUATIONS, PDE


@runtime_checkable
class Term(Protocol):
    def __call__(self, surrogate: Surrogate, batch: Trajectory) -> Float[Tensor, ""]:
        """A loss of the surrogate on a batch of true trajectories, both in physical units."""
        ...


class PhysicsResidual:
    """Mean square of the equation's residual along a rollout of the surrogate, relative to that of its tendency.

    `PDE.residual` of the predicted trajectory, squared and averaged, over the same average of u_t (of the residual at
    zero, a source, for a stationary problem), samples together: one number of order one for a state that does not move.
    No target enters. Li et al. (2024), Physics-Informed Neural Operator, section 3.1.

    n_steps: rolled out from the first state of a window; a residual in time needs at least 2.
    refine: the rollout is taken on a grid of so many times the points, to which states and fields are interpolated.
    pde: the equation; by default the one that the data name.
    Raises ValueError where the data name none, or `n_steps` is too few.
    """

    def __init__(self, *, n_steps: int = 4, refine: int = 1, pde: PDE | None = None) -> None:
        if n_steps < 1 or refine < 1:
            raise ValueError(f"n_steps {n_steps} and refine {refine} must be at least 1")
        self.n_steps, self.refine, self.pde = n_steps, refine, pde

    def __call__(self, surrogate: Surrogate, batch: Trajectory) -> Float[Tensor, ""]:
        problem = surrogate.problem
        pde = self.pde or self._named(problem.equation)
        if not problem.steady and self.n_steps < 2:
            raise ValueError("a residual in time takes three states: n_steps must be at least 2")
        grid, u0, params = batch.grid, batch.u[:, 0], batch.params
        if self.refine > 1:
            fine = grid.with_shape(tuple(self.refine * n for n in grid.shape))
            u0 = resample(u0, grid, fine)
            params = type(params)(params.scalars, resample(params.fields, grid, fine))
            grid = fine
        n_steps = 1 if problem.steady else self.n_steps
        u = rollout(surrogate.on(grid), u0, params, n_steps, include_initial=True)
        residual = pde.residual(u, params, grid, problem.dt)
        if problem.steady:
            scale = pde.residual(torch.zeros_like(u), params, grid, problem.dt)
        else:
            scale = (u[:, 2:] - u[:, :-2]).detach() / (2 * problem.dt)
        return residual.square().mean() / scale.square().mean()

    @staticmethod
    def _named(equation: str) -> PDE:
        if equation not in EQUATIONS:
            raise ValueError(f"the data name the equation {equation!r}; a residual is known of {sorted(EQUATIONS)}")
        return EQUATIONS[equation]()


class IntermediateLoss:
    """Mean relative L2 error of CAPE's own estimate of the next state, from every true state of a window.

    Takamoto, Alesiani and Niepert (2023), with weights of 5.7e-5 in one dimension and 8.3e-5 in two. There the estimate
    is taken along the rollout, here from true states: it is to be good wherever the data are.
    Raises ValueError where the operator is not conditioned by CAPE.
    """

    def __call__(self, surrogate: Surrogate, batch: Trajectory) -> Float[Tensor, ""]:
        cape = _cape(surrogate)
        normaliser, n_steps = surrogate.normaliser, batch.n_steps
        z = normaliser.encode(batch.u.flatten(0, 1)).unflatten(0, batch.u.shape[:2])
        params = normaliser.encode_parameters(batch.params).repeat_interleave(n_steps)
        estimate = cape.estimate(z[:, :-1].flatten(0, 1), params)
        return errors.relative_l2(estimate[:, None], z[:, 1:].flatten(0, 1)[:, None]).mean()


class ParameterGradient:
    """Mean over samples of (|d y / d p| - slope)^2: CAPE's estimate y is to depend on the parameters, and not wildly.

    |d y / d p| is the root mean square, over space and channels, of the derivative of y to one encoded parameter, by
    forward differentiation; its squares are added up over the parameters. It is taken at parameters met nowhere in the
    data: each trajectory's first state with the mean of its own and another trajectory's parameters.

    slope: 4.58 as published, weight 5.16e-4 (training.balance.weights.gradient), for a sum over points that the paper
        does not spell out; here a mean, of order one.
    Source: Takamoto, Alesiani and Niepert (2023), CAPE, for one-dimensional data.
    Raises ValueError where the operator is not conditioned by CAPE.
    """

    def __init__(self, *, slope: float = 1.0) -> None:
        if slope < 0:
            raise ValueError(f"slope must not be negative, got {slope}")
        self.slope = slope

    def __call__(self, surrogate: Surrogate, batch: Trajectory) -> Float[Tensor, ""]:
        cape, normaliser = _cape(surrogate), surrogate.normaliser
        z, params = normaliser.encode(batch.u[:, 0]), normaliser.encode_parameters(batch.params)
        between = (params.scalars + params.scalars.roll(1, 0)) / 2

        def estimate(scalars: Float[Tensor, "batch param"]) -> Float[Tensor, "batch channel *space"]:
            return cape.estimate(z, Parameters(scalars, params.fields))

        square = z.new_zeros(len(z))
        for i in range(between.shape[1]):
            direction = torch.zeros_like(between)
            direction[:, i] = 1.0
            slopes = torch.func.jvp(estimate, (between,), (direction,))[1]
            square = square + slopes.square().flatten(1).mean(1)
        # The root has no derivative at zero, where a silent attention starts.
        return ((square + torch.finfo(square.dtype).eps).sqrt() - self.slope).square().mean()


def _cape(surrogate: Surrogate) -> ChannelAttention:
    cape = getattr(surrogate.operator, "conditioning", None)
    if not isinstance(cape, ChannelAttention):
        raise ValueError(
            f"{type(surrogate.operator).__name__} has no CAPE whose estimate could be judged: "
            "choose operator/conditioning=cape, or leave this term out"
        )
    return cape
