"""A network's guess from the data, refined by CMA-ES on the true misfit: no gradients of the model are needed."""

import numpy as np
import torch
from cmaes import CMA
from jaxtyping import Float
from torch import Tensor, nn

from duhamel.inverse.database import simulated
from duhamel.inverse.map import MapEstimate
from duhamel.inverse.methods import cheapest
from duhamel.inverse.posterior import spending
from duhamel.inverse.problem import InverseProblem
from duhamel.inverse.target import Target


class GaussianRegression(nn.Module):
    """Whitened data -> mean and standard deviation of each coordinate of z."""

    def __init__(self, n_sensors: int, dim: int, *, width: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_sensors, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 2 * dim)
        )

    def forward(
        self, y: Float[Tensor, "batch sensor"]
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"]]:
        mean, log_std = self.net(y).chunk(2, dim=1)
        return mean, log_std.clamp(-6, 2).exp()


def learned_gaussian(
    target: Target, generator: torch.Generator, *, n_simulations: int, n_members: int = 3, n_epochs: int = 150
) -> tuple[Float[Tensor, " dim"], Float[Tensor, " dim"]]:
    """Mean and deviation of z given the data: the mixture of an ensemble trained by maximum likelihood.

    On simulations with fresh noise in each epoch, each member on a resample of its own; inputs are standardised by the
    simulations.
    """
    z, seen = simulated(target, n_simulations, generator)
    centre, scale = seen.mean(dim=0), seen.std(dim=0) + target.noise.std
    means, variances = [], []
    with torch.random.fork_rng(devices=[]):
        for _ in range(n_members):
            torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
            net = GaussianRegression(seen.shape[1], target.dim).double()
            optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs)
            own = torch.randint(len(z), (len(z),), generator=generator)
            for _ in range(n_epochs):
                for batch in own[torch.randperm(len(own), generator=generator)].split(128):
                    noisy = seen[batch] + target.noise.sample(len(batch), generator)
                    mean, std = net((noisy - centre) / scale)
                    loss = (((z[batch] - mean) / std).square() / 2 + std.log()).mean()
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                schedule.step()
            with torch.no_grad():
                mean, std = net(((target.data - centre) / scale).unsqueeze(0))
            means.append(mean[0])
            variances.append(std[0] ** 2)
    mixture = torch.stack(means)
    return mixture.mean(dim=0), (torch.stack(variances).mean(dim=0) + mixture.var(dim=0, correction=0)).sqrt()


@torch.no_grad()
def learned_prior_cma(
    problem: InverseProblem,
    generator: torch.Generator,
    *,
    n_simulations: int = 1000,
    n_generations: int = 30,
    population: int = 16,
) -> MapEstimate:
    """CMA-ES on the potential, started at the ensemble's mean with its deviations as the first covariance.

    After Weidner et al. (2024), arXiv:2403.04500. For up to some twenty parameters. A point, not a distribution.
    """
    target = cheapest(problem)
    history: list[tuple[int, float]] = []
    with spending(problem.solves) as spent:
        with torch.enable_grad():
            mean, std = learned_gaussian(target, generator, n_simulations=n_simulations)
        search = CMA(
            mean=mean.numpy(),
            sigma=1.0,
            cov=np.diag(std.numpy() ** 2),
            population_size=population,
            seed=int(torch.randint(2**31, (), generator=generator)),
        )
        # A model that overflows is a bad point, not an error.
        best = float(target.potential(mean.unsqueeze(0)).nan_to_num(nan=1e30)), mean
        for _ in range(n_generations):
            asked = [search.ask() for _ in range(population)]
            points = torch.from_numpy(np.stack(asked))
            values = target.potential(points).nan_to_num(nan=1e30)
            search.tell(list(zip(asked, values.tolist(), strict=True)))
            i = int(values.argmin())
            if float(values[i]) < best[0]:
                best = float(values[i]), points[i]
            history.append((len(history) * population + population, best[0]))
            if search.should_stop():
                break
    return MapEstimate(
        method="learned prior and CMA-ES",
        status=target.status,
        samples=best[1].reshape(1, 1, -1),
        spent=spent,
        potential=best[0],
        history=tuple(history),
        converged=bool(search.should_stop()),
    )
