"""The error of the cheap model as a Gaussian that depends on z at most linearly, learned from reference solves."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.inverse.gaussian import Gaussian
from duhamel.inverse.laplace import laplace_gaussian
from duhamel.inverse.map import gauss_newton_map
from duhamel.inverse.pcn import pcn
from duhamel.inverse.posterior import Gate, Posterior, spending
from duhamel.inverse.target import Target

HELD_OUT_LIMIT = 1.0
PENALTIES = torch.logspace(-3, 5, 33, dtype=torch.float64)


@dataclass(frozen=True)
class ModelError:
    """H_fine(z) - H_coarse(z) ~ N(bias + slope z, covariance).

    residual: root mean square of what bias and slope leave of the samples they were not fitted to (leave-one-out), in
        units of the noise's standard deviation.
    """

    bias: Float[Tensor, " sensor"]
    slope: Float[Tensor, "sensor dim"] | None
    covariance: Float[Tensor, "sensor sensor"]
    residual: float

    def applied(self, coarse: Target) -> Target:
        """The coarse posterior with this error in its model and in its noise; `approximate`."""
        return coarse.corrected(self.bias, self.slope, self.covariance)

    def predicted(self, z: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch sensor"]:
        return self.bias.expand(len(z), -1) if self.slope is None else self.bias + z @ self.slope.T


@torch.no_grad()
def difference(coarse: Target, fine: Target, z: Float[Tensor, "draw dim"]) -> Float[Tensor, "draw sensor"]:
    """H_fine - H_coarse; a reference solve a draw."""
    return fine.forward(z) - coarse.forward(z)


def prior_error(coarse: Target, fine: Target, *, n_reference: int, generator: torch.Generator) -> ModelError:
    """Mean and covariance over prior draws: the enhanced error model of Kaipio and Somersalo (2005), section 5.8."""
    if n_reference < 2:
        raise ValueError(f"a covariance needs at least two reference solves, got n_reference = {n_reference}")
    z = torch.randn(n_reference, coarse.dim, generator=generator, dtype=torch.float64)
    gap = difference(coarse, fine, z)
    covariance = torch.atleast_2d(torch.cov(gap.T))
    # Of the mean of the others, a draw is n / (n - 1) times as far as of the mean of all.
    held_out = (gap - gap.mean(dim=0)) / coarse.noise.std * n_reference / (n_reference - 1)
    return ModelError(gap.mean(dim=0), None, covariance, float(held_out.square().mean().sqrt()))


def linear_error(
    z: Float[Tensor, "draw dim"],
    gap: Float[Tensor, "draw sensor"],
    *,
    around: Gaussian,
    std: Float[Tensor, " sensor"],
) -> ModelError:
    """Ridge regression of the gap on z, in the whitened coordinates of `around`, where the posterior is a unit ball.

    The penalty and the covariance come from leave-one-out residuals, in units of the noise's std.
    """
    x, target = around.whiten(z), gap / std
    centred, mean = target - target.mean(dim=0), x.mean(dim=0)
    u, s, v = torch.linalg.svd(x - mean, full_matrices=False)
    coefficients = u.T @ centred

    def left_out(penalty: Tensor) -> Float[Tensor, "draw sensor"]:
        shrink = s**2 / (s**2 + penalty)
        leverage = (u**2 * shrink).sum(dim=1) + 1 / len(x)
        return (centred - u @ (shrink[:, None] * coefficients)) / (1 - leverage)[:, None]

    best = min(PENALTIES, key=lambda penalty: float(left_out(penalty).square().sum()))
    in_x = ((s / (s**2 + best))[:, None] * coefficients).T @ v
    residual = left_out(best)
    slope = std[:, None] * torch.linalg.solve(around.factor.T, in_x.T).T
    bias = std * (target.mean(dim=0) - in_x @ mean) - slope @ around.mean
    covariance = std[:, None] * (residual.T @ residual / len(x)) * std
    return ModelError(bias, slope, covariance, float(residual.square().mean().sqrt()))


def preconditioner(target: Target, *, starts: Float[Tensor, "start dim"] | None = None) -> Gaussian:
    """Laplace's approximation at the lowest of the modes that Gauss-Newton finds from `starts` (the origin)."""
    starts = torch.zeros(1, target.dim, dtype=torch.float64) if starts is None else starts
    modes = [gauss_newton_map(target, start=start, tolerance=1e-3) for start in starts]
    lowest = min(modes, key=lambda found: found.potential)
    if not math.isfinite(lowest.potential):
        raise ValueError(f"the model is not finite at any of {len(starts)} starts: there is no mode to linearise it at")
    return laplace_gaussian(target, lowest.mode)


def adapted(
    coarse: Target,
    fine: Target,
    *,
    n_reference: int,
    generator: torch.Generator,
    n_rounds: int = 4,
    n_chains: int = 64,
    n_draws: int = 500,
    n_burn: int = 200,
) -> Posterior:
    """The coarse posterior with an error model that is linear where the posterior lies.

    n_reference: hard budget. Each round spends its part of it at draws of the posterior so far, fits the gap of all
        draws, and adds fit and covariance to the model. The first draws come from the prior-averaged error model of an
        eighth of the budget, so that an overconfident surrogate does not choose them.
    Gates: what the fit left of the last round's draws before it saw them, in units of the noise; R-hat.
    """
    n_prior = max(2, n_reference // 8)
    sizes = [(n_reference - n_prior) // n_rounds] * n_rounds
    sizes[-1] += n_reference - n_prior - sum(sizes)
    if sizes[0] < 2:
        raise ValueError(f"{n_reference} reference solves are too few for {n_rounds} rounds")
    with spending(coarse.solves) as spent, coarse.solves.at_most(n_reference):
        error = prior_error(coarse, fine, n_reference=n_prior, generator=generator)
        z = torch.zeros(0, coarse.dim, dtype=torch.float64)
        gap = torch.zeros(0, len(error.bias), dtype=torch.float64)
        for size in sizes:
            target = error.applied(coarse)
            gaussian = preconditioner(target)
            chains = pcn(target, gaussian=gaussian, generator=generator, n_chains=size, n_draws=1, n_burn=n_burn // 2)
            new = difference(coarse, fine, chains.draws)
            unseen = (new - error.predicted(chains.draws)) / coarse.noise.std
            z, gap = torch.cat([z, chains.draws]), torch.cat([gap, new])
            error = linear_error(z, gap, around=gaussian, std=coarse.noise.std)
        target = error.applied(coarse)
        found = pcn(
            target,
            gaussian=preconditioner(target),
            generator=generator,
            n_chains=n_chains,
            n_draws=n_draws,
            n_burn=n_burn,
        )
    left = Gate(
        "held-out model error / noise",
        float(unseen.square().mean().sqrt()),
        HELD_OUT_LIMIT,
        "raise n_reference, or run the reference chain",
    )
    return Posterior(
        method=f"pCN, model error adapted by {n_reference} reference solves",
        status=target.status,
        samples=found.samples,
        spent=spent,
        gaussian=found.gaussian,
        acceptance=found.acceptance,
        gates=(*found.gates, left),
        target=target,
        chains=True,
    )
