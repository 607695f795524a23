"""Generalised preconditioned Crank-Nicolson: many chains in one batch, no gradients, any dimension."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.inverse.diagnostics import chain_gates
from duhamel.inverse.gaussian import Gaussian
from duhamel.inverse.posterior import Posterior, spending
from duhamel.inverse.target import Target


class PCN:
    """Proposals z' = m + sqrt(1 - beta^2) (z - m) + beta L xi, reversible for N(m, L L^T).

    Accepted on the potential of the target against that Gaussian: psi(z) = Phi(z) + |z|^2/2 - |L^-1 (z - m)|^2/2. With
    m = 0 and L = I that is pCN (Cotter et al. 2013, Statistical Science 28(3), section 4.1), with a Laplace
    approximation of gpCN (Rudolf and Sprungk 2018, Found. Comput. Math. 18, eq. (15)); a linear model then accepts
    every step.
    """

    def __init__(self, reference: Gaussian, beta: float) -> None:
        self.reference = reference
        self.beta = beta

    def propose(self, z: Float[Tensor, "chain dim"], generator: torch.Generator) -> Float[Tensor, "chain dim"]:
        mean = self.reference.mean
        noise = self.reference.sample(len(z), generator) - mean
        return mean + math.sqrt(1 - self.beta**2) * (z - mean) + self.beta * noise

    def log_weight(self, z: Float[Tensor, "chain dim"]) -> Float[Tensor, " chain"]:
        """Minus log density of the Gaussian, up to a constant."""
        return self.reference.whiten(z).square().sum(dim=-1) / 2

    def adapt(self, acceptance: float, i: int, goal: float = 0.3) -> None:
        """Robbins-Monro on log beta, for the burn-in only."""
        self.beta = min(1.0, max(1e-3, self.beta * math.exp((acceptance - goal) / math.sqrt(i + 1))))


@torch.no_grad()
def pcn(
    target: Target,
    *,
    gaussian: Gaussian,
    generator: torch.Generator,
    n_chains: int = 64,
    n_draws: int = 500,
    n_burn: int = 200,
    thin: int = 1,
    beta: float = 0.5,
    starts: Float[Tensor, "chain dim"] | None = None,
) -> Posterior:
    """`n_chains` chains of n_burn + thin n_draws steps, a solve each; starts: draws of `gaussian`.

    beta is adapted to an acceptance of 0.3 in the burn-in. The result fails its gate where chains disagree.
    """
    kernel = PCN(gaussian, beta)
    kept, accepted = [], 0.0
    with spending(target.solves) as spent:
        z = gaussian.sample(n_chains, generator) if starts is None else starts
        level = target.potential(z) - kernel.log_weight(z)
        # Where the model overflows at its start a chain leaves for the first possible state.
        level = torch.where(level.isnan(), torch.inf, level)
        for i in range(n_burn + thin * n_draws):
            proposal = kernel.propose(z, generator)
            new = target.potential(proposal) - kernel.log_weight(proposal)
            uniform = torch.rand(len(z), generator=generator, dtype=torch.float64)
            # A model that overflows gives NaN, which compares false: rejected, as an impossible state must be.
            accept = uniform.log() < level - new
            z, level = torch.where(accept[:, None], proposal, z), torch.where(accept, new, level)
            share = float(accept.double().mean())
            if i < n_burn:
                kernel.adapt(share, i)
            else:
                accepted += share / (thin * n_draws)
                if (i - n_burn + 1) % thin == 0:
                    kept.append(z)
    samples = torch.stack(kept, dim=1)
    return Posterior(
        method="pCN",
        status=target.status,
        samples=samples,
        spent=spent,
        gaussian=gaussian,
        acceptance=accepted,
        gates=chain_gates(samples),
        chains=True,
    )
