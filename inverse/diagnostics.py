"""Whether draws can be trusted: effective sample sizes, agreement of chains, calibration. By arviz where it serves."""

import warnings
from typing import Any

import numpy as np
import scipy.stats
import torch
from jaxtyping import Float, Int
from torch import Tensor

from duhamel.inverse.posterior import Gate

with warnings.catch_warnings():
    # arviz 0.23 announces its next version whenever it is imported.
    warnings.simplefilter("ignore", FutureWarning)
    import arviz

R_HAT_LIMIT = 1.05
# Of a mean, in posterior deviations: a hundred effective draws.
MONTE_CARLO_LIMIT = 0.1


def effective_sample_size(samples: Float[Tensor, "chain draw dim"]) -> Float[Tensor, " dim"]:
    """Bulk effective sample size of each coordinate, over all chains (Vehtari et al. 2021, Bayesian Analysis 16)."""
    found = arviz.ess(_dataset(samples), method="bulk")
    return torch.from_numpy(np.atleast_1d(found["x"].values))


def _dataset(samples: Float[Tensor, "chain draw dim"]) -> Any:
    with warnings.catch_warnings():
        # Many short chains in a batch look to arviz like axes in the wrong order.
        warnings.filterwarnings("ignore", "More chains", UserWarning)
        return arviz.convert_to_dataset(samples.numpy())


def r_hat(samples: Float[Tensor, "chain draw dim"]) -> Float[Tensor, " dim"]:
    """Rank-normalised split R-hat of each coordinate; a single chain is split in two."""
    if samples.shape[0] == 1:
        half = samples.shape[1] // 2
        samples = torch.stack([samples[0, :half], samples[0, half : 2 * half]])
    found = arviz.rhat(_dataset(samples), method="rank")
    return torch.from_numpy(np.atleast_1d(found["x"].values))


def chain_gates(samples: Float[Tensor, "chain draw dim"]) -> tuple[Gate, ...]:
    """Do the chains agree? The largest R-hat; infinite where a chain never moved or all are too short to tell."""
    if samples.shape[1] < 4:
        return (Gate("R-hat", float("inf"), R_HAT_LIMIT, f"chains of {samples.shape[1]} draws are too short to judge"),)
    stuck = int((samples == samples[:, :1]).flatten(1).all(dim=1).sum())
    if stuck:
        # One among many hardly shows in R-hat, which pools the chains.
        return (Gate("R-hat", float("inf"), R_HAT_LIMIT, f"{stuck} of {len(samples)} chains never moved"),)
    worst = float(r_hat(samples).nan_to_num(nan=float("inf")).max())
    return (Gate("R-hat", worst, R_HAT_LIMIT, "run longer chains, or precondition better"),)


def length_gate(samples: Float[Tensor, "chain draw dim"]) -> Gate:
    """Are the chains long enough? 1 / sqrt(ESS) of the coordinate with the fewest effective draws over all chains.

    R-hat does not say so: by its definition R-hat^2 - 1 is about M (1 / ESS - 1 / N), M halves of chains and N draws,
    which is small for few chains and for few draws. ESS: Vehtari et al. 2021.
    """
    fewest = float(effective_sample_size(samples).min())
    return Gate("Monte Carlo error / deviation", fewest**-0.5, MONTE_CARLO_LIMIT, "run longer chains")


def smoothed_weights(log_weights: Float[Tensor, " draw"]) -> tuple[Float[Tensor, " draw"], float]:
    """Importance weights that sum to one, their tail Pareto-smoothed, and its shape k-hat.

    Above 0.7 the weights cannot be trusted: Vehtari et al. (2024), JMLR 25(72).
    """
    smoothed, k = arviz.psislw(log_weights.numpy())
    return torch.softmax(torch.from_numpy(np.asarray(smoothed)), dim=0), float(k)


def calibration_ranks(
    truths: Float[Tensor, "replicate quantity"], draws: Float[Tensor, "replicate draw quantity"]
) -> Int[Tensor, "replicate quantity"]:
    """How many draws lie below the truth that made the data: uniform on 0, ..., n_draws for an exact method.

    Simulation-based calibration, Talts et al. (2018), arXiv:1804.06788, with draws thinned to near independence.
    """
    return (draws < truths.unsqueeze(1)).sum(dim=1)


def calibration_p_values(
    ranks: Int[Tensor, "replicate quantity"], n_draws: int, generator: torch.Generator
) -> Float[Tensor, " quantity"]:
    """Kolmogorov-Smirnov p of each quantity's ranks, spread uniformly inside their bins, against uniform.

    Compare the least with alpha / n_quantities (Bonferroni).
    """
    spread = (ranks + torch.rand(ranks.shape, generator=generator, dtype=torch.float64)) / (n_draws + 1)
    return torch.tensor([float(scipy.stats.kstest(column.numpy(), "uniform").pvalue) for column in spread.T])


def coverage(truths: Float[Tensor, "..."], interval: tuple[Float[Tensor, "..."], Float[Tensor, "..."]]) -> float:
    """Share of the numbers that lie in their intervals."""
    low, high = interval
    return float(((truths >= low) & (truths <= high)).double().mean())
