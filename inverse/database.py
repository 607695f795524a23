"""A posterior from a table of simulations: the nearest ones, weighted by their likelihood."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.inverse.methods import cheapest
from duhamel.inverse.posterior import Gate, Posterior, spending
from duhamel.inverse.problem import InverseProblem
from duhamel.inverse.target import Status, Target

LARGEST_WEIGHT = 0.2
LEFT_OUT = 0.01


@torch.no_grad()
def simulated(
    target: Target, n: int, generator: torch.Generator, *, batch_size: int = 256
) -> tuple[Float[Tensor, "entry dim"], Float[Tensor, "entry sensor"]]:
    """Prior draws and what the sensors would read of them, without noise."""
    z = torch.randn(n, target.dim, generator=generator, dtype=torch.float64)
    return z, torch.cat([target.forward(part) for part in z.split(batch_size)])


def database_posterior(
    problem: InverseProblem, generator: torch.Generator, *, n_entries: int = 10000, n_kept: int = 500
) -> Posterior:
    """The n_kept prior draws of least misfit, weighted by exp(-Phi): importance sampling from the prior.

    Ezhov et al. (2022), PMLR 193, "For-loops are all you need". Serves up to some eight parameters and to start other
    methods; refused where one entry carries more than a fifth of the weight, or those that were not kept together more
    than a hundredth: what is left would be too narrow. The table is of use for other data too: `simulated` makes it.
    Raises ValueError where no entry has a finite misfit.
    """
    target = cheapest(problem)
    with spending(problem.solves) as spent:
        z, seen = simulated(target, n_entries, generator)
        misfit = target.noise.whiten(target.data - seen).square().sum(dim=1) / 2
        misfit = misfit.nan_to_num(nan=torch.inf, posinf=torch.inf)
        if not bool(misfit.isfinite().any()):
            raise ValueError(f"the model is not finite for any of {n_entries} prior draws: there is nothing to weight")
        least, kept = misfit.topk(min(n_kept, n_entries), largest=False)
        weights = torch.softmax(-least, dim=0)
    lost = 1 - float((torch.logsumexp(-least, dim=0) - torch.logsumexp(-misfit, dim=0)).exp())
    gates = (
        Gate("largest weight", float(weights.max()), LARGEST_WEIGHT, "more entries, or a sampler"),
        Gate("weight left out", lost, LEFT_OUT, "keep more of the entries"),
    )
    return Posterior(
        method="database query",
        status=target.status.at_most(Status.APPROXIMATE),
        samples=z[kept].unsqueeze(0),
        weights=weights.unsqueeze(0),
        spent=spent,
        gates=gates,
    )
