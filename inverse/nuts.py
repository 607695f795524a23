"""The no-U-turn sampler of pyro, whitened by a Gaussian."""

import pyro
import torch
from jaxtyping import Float
from pyro.infer import MCMC, NUTS
from torch import Tensor

from duhamel.inverse.diagnostics import chain_gates
from duhamel.inverse.gaussian import Gaussian
from duhamel.inverse.posterior import Posterior, spending
from duhamel.inverse.target import Target


def nuts(
    target: Target,
    *,
    gaussian: Gaussian,
    generator: torch.Generator,
    n_chains: int = 4,
    n_draws: int = 500,
    n_burn: int = 200,
    max_tree_depth: int = 8,
) -> Posterior:
    """Chains one after another in x, z = m + L x, started at draws of the Gaussian.

    Hoffman and Gelman (2014), JMLR 15. The mass matrix stays the identity: whitening is what it would learn. A gradient
    is two solves (forward and adjoint).
    """

    def potential(point: dict[str, Tensor]) -> Tensor:
        return target.potential(gaussian.colour(point["x"]).unsqueeze(0))[0]

    chains: list[Float[Tensor, "draw dim"]] = []
    with spending(target.solves) as spent, torch.random.fork_rng(devices=[]):
        for _ in range(n_chains):
            pyro.set_rng_seed(int(torch.randint(2**31, (), generator=generator)))
            kernel = NUTS(
                potential_fn=potential, adapt_mass_matrix=False, max_tree_depth=max_tree_depth, jit_compile=False
            )
            start = torch.randn(target.dim, generator=generator, dtype=torch.float64)
            run = MCMC(
                kernel,
                num_samples=n_draws,
                warmup_steps=n_burn,
                initial_params={"x": start},
                disable_progbar=True,
            )
            run.run()
            chains.append(gaussian.colour(run.get_samples()["x"]))
    samples = torch.stack(chains).detach()
    return Posterior(
        method="NUTS",
        status=target.status,
        samples=samples,
        spent=spent,
        gaussian=gaussian,
        gates=chain_gates(samples),
        chains=True,
    )
