"""Delayed acceptance: proposals that a surrogate chain has screened, accepted or not by the reference."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.inverse.correction import gap_gate
from duhamel.inverse.diagnostics import chain_gates, length_gate
from duhamel.inverse.gaussian import Gaussian
from duhamel.inverse.pcn import PCN
from duhamel.inverse.posterior import Posterior, spending
from duhamel.inverse.target import Target


@torch.no_grad()
def delayed_acceptance(
    coarse: Target,
    fine: Target,
    *,
    gaussian: Gaussian,
    starts: Float[Tensor, "chain dim"],
    n_reference: int,
    generator: torch.Generator,
    subchain: int = 10,
    n_burn: int = 0,
    beta: float = 0.5,
) -> Posterior:
    """Each step runs `subchain` pCN steps on the coarse target and accepts their end with probability

    min(1, exp(Delta(z) - Delta(z'))), Delta = Phi_fine - Phi_coarse: exact for the fine target, whatever the coarse
    one. Christen and Fox (2005), J. Comput. Graph. Stat. 14(4); subchains: Lykkegaard et al. (2023), SIAM/ASA J.
    Uncertain. Quantif. 11(1), algorithm 2.

    starts: draws of the coarse posterior, a chain each. n_reference: hard budget; as many steps as it pays for, the
        first n_burn of them dropped. A coarse target with an error model serves best.
    Gates: R-hat; a hundred effective draws, over all chains; standard deviation of Delta at the proposals' starts.
    """
    n_chains = len(starts)
    n_steps = n_reference // n_chains - 1
    if n_steps - n_burn < 4:
        raise ValueError(
            f"{n_reference} reference solves give {n_chains} chains {n_steps} steps: at least {n_burn + 4} are needed"
        )
    kernel, z = PCN(gaussian, beta), starts
    kept, accepted = [], 0.0
    with spending(coarse.solves) as spent, coarse.solves.at_most(n_reference):
        phi, level = coarse.misfit(z), fine.misfit(z)
        first = level - phi
        for i in range(n_steps):
            end, phi_end, share = _subchain(coarse, kernel, z, phi, subchain, generator)
            if i < n_burn:
                kernel.adapt(share, i)
            level_end = fine.misfit(end)
            uniform = torch.rand(n_chains, generator=generator, dtype=torch.float64)
            # A subchain that never moved proposes where it stands: Delta is equal, and it is accepted.
            accept = uniform.log() < (level - phi) - (level_end - phi_end)
            z = torch.where(accept[:, None], end, z)
            phi, level = torch.where(accept, phi_end, phi), torch.where(accept, level_end, level)
            if i >= n_burn:
                kept.append(z)
                accepted += float(accept.double().mean()) / (n_steps - n_burn)
    samples = torch.stack(kept, dim=1)
    return Posterior(
        method="delayed acceptance",
        status=fine.status,
        samples=samples,
        spent=spent,
        gaussian=gaussian,
        acceptance=accepted,
        gates=(*chain_gates(samples), length_gate(samples), gap_gate(first)),
        chains=True,
    )


def _subchain(
    coarse: Target,
    kernel: PCN,
    z: Float[Tensor, "chain dim"],
    phi: Float[Tensor, " chain"],
    n: int,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "chain dim"], Float[Tensor, " chain"], float]:
    """n steps on the coarse target: where they end, Phi_coarse there, and the share that was accepted."""
    prior = z.square().sum(dim=1) / 2 - kernel.log_weight(z)
    share = 0.0
    for _ in range(n):
        proposal = kernel.propose(z, generator)
        phi_new = coarse.misfit(proposal)
        prior_new = proposal.square().sum(dim=1) / 2 - kernel.log_weight(proposal)
        uniform = torch.rand(len(z), generator=generator, dtype=torch.float64)
        accept = uniform.log() < (phi + prior) - (phi_new + prior_new)
        z = torch.where(accept[:, None], proposal, z)
        phi, prior = torch.where(accept, phi_new, phi), torch.where(accept, prior_new, prior)
        share += float(accept.double().mean()) / n
    return z, phi, share
