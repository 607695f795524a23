"""Laplace's approximation: the Gaussian of the linearised model at the mode."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.inverse.gaussian import Gaussian
from duhamel.inverse.posterior import Gate, Posterior, spending
from duhamel.inverse.target import Status, Target

MODE_LIMIT = 0.1


def laplace_gaussian(target: Target, mode: Float[Tensor, " dim"]) -> Gaussian:
    """N(mode, (I + J^T J)^-1), J = d(Gamma^(-1/2) H)/dz (Gauss-Newton); one solve and an adjoint a sensor.

    Raises ValueError where J is not finite.
    """
    return _linearised(target, mode)[0]


def laplace(
    target: Target, mode: Float[Tensor, " dim"], *, n_draws: int = 1000, generator: torch.Generator
) -> Posterior:
    """Independent draws of the Gaussian; exact for a linear model, `approximate` at best for any other.

    Gate: the Newton step that is left from `mode`, in posterior deviations.
    """
    with spending(target.solves) as spent:
        gaussian, gradient = _linearised(target, mode)
        samples = gaussian.sample(n_draws, generator).unsqueeze(0)
    # The step C g is |L^-1 C g| = |L^T g| deviations long, C = L L^T.
    left = float((gradient @ gaussian.factor).norm())
    return Posterior(
        method="Laplace",
        status=target.status.at_most(Status.APPROXIMATE),
        samples=samples,
        spent=spent,
        gaussian=gaussian,
        gates=(Gate("distance from the mode / deviation", left, MODE_LIMIT, "search longer, or from other starts"),),
    )


def _linearised(target: Target, mode: Float[Tensor, " dim"]) -> tuple[Gaussian, Float[Tensor, " dim"]]:
    """Laplace's approximation and the gradient of the potential."""
    residual, jacobian = target.linearised(mode)
    if not bool(jacobian.isfinite().all()):
        raise ValueError("the model's Jacobian is not finite at the mode: there is no Laplace approximation there")
    identity = torch.eye(target.dim, dtype=torch.float64)
    return Gaussian.from_precision(mode, identity + jacobian.T @ jacobian), mode - jacobian.T @ residual
