"""Reference solves that make a surrogate's posterior exact: importance weights and the two-level estimator.

c is the coarse model, f the fine one, Delta = Phi_f - Phi_c at the same z. Var Delta decides what is possible: with m
sensors a surrogate must err by less than sigma / sqrt(m) at each for weights near one.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.inverse.diagnostics import smoothed_weights
from duhamel.inverse.posterior import Gate, Posterior, spending
from duhamel.inverse.target import Status, Target

PARETO_LIMIT = 0.7
GAP_LIMIT = 2.0


@torch.no_grad()
def misfit_gap(coarse: Target, fine: Target, z: Float[Tensor, "draw dim"]) -> Float[Tensor, " draw"]:
    """Delta = Phi_f - Phi_c; a reference solve a draw."""
    return fine.misfit(z) - coarse.misfit(z)


def gap_gate(gap: Float[Tensor, " draw"]) -> Gate:
    """The standard deviation of Delta over draws of the coarse posterior."""
    advice = "correct the surrogate (adapted) or run the reference chain preconditioned by it"
    return Gate("std of the misfit difference", float(gap.std()), GAP_LIMIT, advice)


def reweighted(posterior: Posterior, coarse: Target, fine: Target, *, n_reference: int) -> Posterior:
    """n_reference of the draws, weighted by exp(-Delta), tail smoothed (PSIS); refused where k-hat exceeds 0.7.

    Keeps the gates of `posterior`: weights correct the density that was sampled, not chains that did not sample it.
    """
    with spending(coarse.solves) as spent, coarse.solves.at_most(n_reference):
        z = posterior.thinned(n_reference)
        gap = misfit_gap(coarse, fine, z)
        weights, k = smoothed_weights(-gap)
    gate = Gate("Pareto k-hat", k, PARETO_LIMIT, "correct the surrogate first (adapted)")
    return Posterior(
        method=f"{posterior.method}, reweighted",
        status=fine.status.at_most(Status.REWEIGHTED),
        samples=z.unsqueeze(0),
        weights=weights.unsqueeze(0),
        spent=spent,
        gates=(*posterior.gates, gate),
    )


def two_level(
    posterior: Posterior, coarse: Target, fine: Target, fine_draws: Float[Tensor, "draw dim"], *, n_reference: int
) -> Posterior:
    """Signed weights for a long coarse chain, a short fine one and `n_reference` coarse draws solved by the reference.

    With I = 1{Delta <= 0}, e+ = exp(min(Delta, 0)), e- = exp(min(-Delta, 0)) and R = Z_c / Z_f:
    R = (1 + E_f[(e+ - 1) I]) / (1 - E_c[(1 - e-) (1 - I)]),
    E_f[Q] = R E_c[Q] + E_f[(1 - e+) I Q] + R E_c[(e- - 1) (1 - I) Q].
    All exponents are <= 0, so that the variance is bounded, and small where Delta is: after Hoang, Quek and Schwab
    (2020), Comput. Methods Appl. Math. 20(4). Delta is centred at its coarse median first, which changes R alone.

    posterior: of the coarse target. fine_draws: of the fine one (`delayed_acceptance`); each is solved once more here.
    """
    with spending(coarse.solves) as spent, coarse.solves.at_most(n_reference + len(fine_draws)):
        thinned = posterior.thinned(n_reference)
        gap_c, gap_f = misfit_gap(coarse, fine, thinned), misfit_gap(coarse, fine, fine_draws)
    gate = gap_gate(gap_c)
    centre = gap_c.median()
    gap_c, gap_f = gap_c - centre, gap_f - centre
    below = torch.where(gap_f <= 0, 1 - gap_f.clamp_max(0).exp(), 0.0)
    above = torch.where(gap_c > 0, 1 - (-gap_c).clamp_max(0).exp(), 0.0)
    ratio = (1 - below.mean()) / (1 - above.mean())
    draws = posterior.draws
    parts = [
        ratio * posterior.draw_weights,
        below / len(below),
        -ratio * above / len(above),
    ]
    samples, weights = torch.cat([draws, fine_draws, thinned]), torch.cat(parts)
    return Posterior(
        method="two-level",
        status=fine.status.at_most(Status.REWEIGHTED),
        samples=samples.unsqueeze(0),
        weights=weights.unsqueeze(0),
        spent=spent,
        gates=(*posterior.gates, gate),
    )
