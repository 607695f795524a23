"""Ensemble Kalman inversion with adaptive tempering: no gradients, a handful of batched solves."""

import torch

from duhamel.inverse.posterior import Posterior, spending
from duhamel.inverse.target import Status, Target


@torch.no_grad()
def ensemble_kalman(
    target: Target, *, n_members: int = 400, generator: torch.Generator, max_iterations: int = 50
) -> Posterior:
    """Prior draws moved to the posterior in steps of the likelihood's power h_1 + h_2 + ... = 1.

    z_j += C^zG (C^GG + I / h)^-1 (r_j + xi_j / sqrt(h)), residuals r whitened; h by the data misfit controller
    h = min(max(m / (2 mean Phi), sqrt(m / (2 var Phi))), what is left) of Iglesias and Yang (2021), Inverse Problems
    37, 025008. As the ensemble grows it is exact for a linear model only; `approximate` at best.
    """
    with spending(target.solves) as spent:
        z = torch.randn(n_members, target.dim, generator=generator, dtype=torch.float64)
        left = 1.0
        for _ in range(max_iterations):
            r = target.residual(z)
            misfit, m = r.square().sum(dim=1) / 2, r.shape[1]
            step = max(m / (2 * float(misfit.mean())), (m / (2 * float(misfit.var()))) ** 0.5)
            h = min(step, left)
            centred_z, centred_g = z - z.mean(dim=0), -(r - r.mean(dim=0))
            cross = centred_z.T @ centred_g / (n_members - 1)
            own = centred_g.T @ centred_g / (n_members - 1)
            noise = torch.randn(r.shape, generator=generator, dtype=torch.float64)
            innovation = r + noise / h**0.5
            gain = torch.linalg.solve(own + torch.eye(m, dtype=torch.float64) / h, cross.T).T
            z = z + innovation @ gain.T
            left -= h
            if left <= 0:
                break
        else:
            raise ValueError(f"the likelihood's power is {1 - left:.3g} after {max_iterations} iterations, not 1")
    return Posterior(
        method="ensemble Kalman inversion",
        status=target.status.at_most(Status.APPROXIMATE),
        samples=z.unsqueeze(0),
        spent=spent,
    )
