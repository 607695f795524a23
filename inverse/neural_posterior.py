"""Neural posterior estimation with a normalising flow: one observation's layout, any data."""

import torch
import zuko
from jaxtyping import Float
from torch import Tensor

from duhamel.inverse.database import simulated
from duhamel.inverse.methods import cheapest
from duhamel.inverse.posterior import Posterior, spending
from duhamel.inverse.problem import InverseProblem
from duhamel.inverse.target import Status


def neural_posterior(
    problem: InverseProblem,
    generator: torch.Generator,
    *,
    n_simulations: int = 3000,
    n_epochs: int = 60,
    n_draws: int = 1000,
    width: int = 64,
    transforms: int = 4,
) -> Posterior:
    """q(z | y) by maximum likelihood on simulations with fresh noise in each epoch: a neural spline flow of zuko.

    Papamakarios and Murray (2016), NeurIPS; Durkan et al. (2019), NeurIPS. For up to some ten parameters. `approximate`
    at best: calibrated is not narrow, so compare its width with Laplace's. A tenth of the simulations picks the epoch.
    """
    target = cheapest(problem)
    with spending(problem.solves) as spent, torch.random.fork_rng(devices=[]):
        z, seen = simulated(target, n_simulations, generator)
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        centre, scale = seen.mean(dim=0), seen.std(dim=0) + target.noise.std
        flow = zuko.flows.NSF(target.dim, seen.shape[1], transforms=transforms, hidden_features=(width, width))
        optimizer = torch.optim.AdamW(flow.parameters(), lr=2e-3, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs)
        held_out = max(1, n_simulations // 10)

        def encoded(y: Float[Tensor, "*batch sensor"]) -> Float[Tensor, "*batch sensor"]:
            return ((y - centre) / scale).float()

        def loss(index: Tensor) -> Tensor:
            noisy = seen[index] + target.noise.sample(len(index), generator)
            return -flow(encoded(noisy)).log_prob(z[index].float()).mean()

        best, kept = float("inf"), flow.state_dict()
        validation = torch.arange(held_out)
        for _ in range(n_epochs):
            order = held_out + torch.randperm(n_simulations - held_out, generator=generator)
            for index in order.split(128):
                optimizer.zero_grad()
                value = loss(index)
                value.backward()
                optimizer.step()
            schedule.step()
            with torch.no_grad():
                now = float(loss(validation))
            if now < best:
                best, kept = now, {name: tensor.clone() for name, tensor in flow.state_dict().items()}
        flow.load_state_dict(kept)
        with torch.no_grad():
            draws = flow(encoded(target.data)).sample((n_draws,)).double()
    return Posterior(
        method="neural posterior, spline flow",
        status=target.status.at_most(Status.APPROXIMATE),
        samples=draws.unsqueeze(0),
        spent=spent,
    )
