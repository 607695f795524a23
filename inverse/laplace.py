"""Laplace's approximation: the Gaussian of the linearised model at the mode."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.inverse.gaussian import Gaussian
from duhamel.inverse.posterior import Posterior, spending
from duhamel.inverse.target import Status, Target


def laplace_gaussian(target: Target, mode: Float[Tensor, " dim"]) -> Gaussian:
    """N(mode, (I + J^T J)^-1), J = d(Gamma^(-1/2) H)/dz (Gauss-Newton); one solve and an adjoint a sensor.

    Raises ValueError where J is not finite.
    """
    _, jacobian = target.linearised(mode)
    if not bool(jacobian.isfinite().all()):
        raise ValueError("the model's Jacobian is not finite at the mode: there is no Laplace approximation there")
    identity = torch.eye(target.dim, dtype=torch.float64)
    return Gaussian.from_precision(mode, identity + jacobian.T @ jacobian)


def laplace(
    target: Target, mode: Float[Tensor, " dim"], *, n_draws: int = 1000, generator: torch.Generator
) -> Posterior:
    """Independent draws of the Gaussian; exact for a linear model, `approximate` at best for any other."""
    with spending(target.solves) as spent:
        gaussian = laplace_gaussian(target, mode)
        samples = gaussian.sample(n_draws, generator).unsqueeze(0)
    return Posterior(
        method="Laplace",
        status=target.status.at_most(Status.APPROXIMATE),
        samples=samples,
        spent=spent,
        gaussian=gaussian,
    )
