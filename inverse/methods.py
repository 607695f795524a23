"""One call each: an inverse problem in, a `Posterior` out; preconditioners, starts and budgets are chosen here.

Without a surrogate every method works on the reference. Each takes `n_reference` where it spends reference solves: a
hard budget, gradients included. The cost of a result is that of the whole call: of its search for a mode and of its
preconditioner, too.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.inverse.correction import GAP_LIMIT, misfit_gap, reweighted, two_level
from duhamel.inverse.delayed_acceptance import delayed_acceptance
from duhamel.inverse.ensemble_kalman import ensemble_kalman
from duhamel.inverse.laplace import laplace
from duhamel.inverse.map import MapEstimate, lbfgs_map
from duhamel.inverse.model_error import adapted, preconditioner
from duhamel.inverse.pcn import pcn
from duhamel.inverse.posterior import Posterior, spending
from duhamel.inverse.problem import InverseProblem
from duhamel.inverse.target import Target

IMPORTANCE_LIMIT = 1.0


def cheapest(problem: InverseProblem) -> Target:
    """The surrogate's posterior, or the reference's where there is no surrogate."""
    return problem.by_reference if problem.surrogate is None else problem.by_surrogate


def starting_points(problem: InverseProblem, generator: torch.Generator, n: int) -> Float[Tensor, "start dim"]:
    """The prior's mean and n - 1 prior draws."""
    return torch.cat([torch.zeros(1, problem.prior.dim, dtype=torch.float64), problem.prior.sample(n - 1, generator)])


def map_point(problem: InverseProblem, generator: torch.Generator, *, n_starts: int = 4) -> MapEstimate:
    """L-BFGS from the prior's mean and n_starts - 1 prior draws."""
    return lbfgs_map(cheapest(problem), starts=starting_points(problem, generator, n_starts), tolerance=1e-4)


def laplace_posterior(problem: InverseProblem, generator: torch.Generator, *, n_draws: int = 1000) -> Posterior:
    with spending(problem.solves) as spent:
        mode = map_point(problem, generator).mode
        found = laplace(cheapest(problem), mode, n_draws=n_draws, generator=generator)
    return replace(found, spent=spent)


def pcn_posterior(
    problem: InverseProblem,
    generator: torch.Generator,
    *,
    n_chains: int = 64,
    n_draws: int = 500,
    n_burn: int = 200,
    n_starts: int = 3,
) -> Posterior:
    target = cheapest(problem)
    with spending(problem.solves) as spent:
        gaussian = preconditioner(target, starts=starting_points(problem, generator, n_starts))
        found = pcn(target, gaussian=gaussian, generator=generator, n_chains=n_chains, n_draws=n_draws, n_burn=n_burn)
    return replace(found, spent=spent)


def nuts_posterior(
    problem: InverseProblem,
    generator: torch.Generator,
    *,
    n_chains: int = 2,
    n_draws: int = 200,
    n_burn: int = 100,
    n_starts: int = 3,
) -> Posterior:
    from duhamel.inverse.nuts import nuts  # pyro takes two seconds to import

    target = cheapest(problem)
    with spending(problem.solves) as spent:
        gaussian = preconditioner(target, starts=starting_points(problem, generator, n_starts))
        found = nuts(target, gaussian=gaussian, generator=generator, n_chains=n_chains, n_draws=n_draws, n_burn=n_burn)
    return replace(found, spent=spent)


def ensemble_posterior(problem: InverseProblem, generator: torch.Generator, *, n_members: int = 400) -> Posterior:
    return ensemble_kalman(cheapest(problem), n_members=n_members, generator=generator)


def adapted_posterior(
    problem: InverseProblem,
    generator: torch.Generator,
    *,
    n_reference: int = 400,
    n_chains: int = 64,
    n_draws: int = 500,
    n_burn: int = 200,
) -> Posterior:
    return adapted(
        problem.by_surrogate,
        problem.by_reference,
        n_reference=n_reference,
        generator=generator,
        n_chains=n_chains,
        n_draws=n_draws,
        n_burn=n_burn,
    )


def delayed_acceptance_posterior(
    problem: InverseProblem, generator: torch.Generator, *, n_reference: int = 4000, n_chains: int = 32
) -> Posterior:
    """A tenth of the budget adapts the surrogate, which then screens proposals for the reference."""
    with spending(problem.solves) as spent:
        first = adapted_posterior(problem, generator, n_reference=n_reference // 10)
        assert first.target is not None and first.gaussian is not None
        found = delayed_acceptance(
            first.target,
            problem.by_reference,
            gaussian=first.gaussian,
            starts=first.thinned(n_chains),
            n_reference=n_reference - n_reference // 10,
            n_burn=10,
            generator=generator,
        )
    return replace(found, spent=spent)


def two_level_posterior(
    problem: InverseProblem, generator: torch.Generator, *, n_reference: int = 4000, n_chains: int = 32
) -> Posterior:
    """A tenth adapts the surrogate, six tenths make a delayed-acceptance chain, three tenths correct.

    Passes where the chain passes its gates too: one of the three terms of the estimate is a mean over it.
    """
    tenth = n_reference // 10
    with spending(problem.solves) as spent:
        first = adapted_posterior(problem, generator, n_reference=tenth)
        assert first.target is not None and first.gaussian is not None
        short = delayed_acceptance(
            first.target,
            problem.by_reference,
            gaussian=first.gaussian,
            starts=first.thinned(n_chains),
            n_reference=6 * tenth,
            n_burn=10,
            generator=generator,
        )
        n_fine = min(tenth, len(short.draws))
        found = two_level(first, first.target, problem.by_reference, short.thinned(n_fine), n_reference=2 * tenth)
    return replace(found.with_gates(*short.gates), spent=spent)


def reference_posterior(
    problem: InverseProblem, generator: torch.Generator, *, n_reference: int = 20000, n_chains: int = 32
) -> Posterior:
    """pCN on the reference, preconditioned by the surrogate: by its adapted posterior, for a fiftieth of the budget.

    Without a surrogate, by the reference's own Laplace approximation.
    """
    fine, before = problem.by_reference, problem.solves.reference
    with spending(problem.solves) as spent, problem.solves.at_most(n_reference):
        if problem.surrogate is None:
            gaussian = preconditioner(fine)
        else:
            # Its Gaussian alone is used: the chain at its end can be as short as it likes.
            first = adapted_posterior(
                problem, generator, n_reference=max(100, n_reference // 50), n_chains=1, n_draws=1
            )
            assert first.gaussian is not None
            gaussian = first.gaussian
        left = n_reference - (problem.solves.reference - before)
        steps = left // n_chains - 1
        if steps < 10:
            raise ValueError(f"{n_reference} reference solves leave {n_chains} chains {steps} steps: it takes 10")
        found = pcn(
            fine,
            gaussian=gaussian,
            generator=generator,
            n_chains=n_chains,
            n_burn=steps // 4,
            n_draws=steps - steps // 4,
        )
    by = "the surrogate" if problem.surrogate is not None else "itself"
    return replace(found, method=f"pCN on the reference, preconditioned by {by}", spent=spent)


def automatic(
    problem: InverseProblem, generator: torch.Generator, *, n_reference: int = 400, n_gate: int = 50
) -> Posterior:
    """What the gap of misfits over `n_gate` draws of the surrogate's posterior allows.

    Its standard deviation below 1: importance weights. Below 2, and budget for a chain: delayed acceptance. Above, or
    too little budget: the adapted posterior. Raises ValueError where the gate leaves less than as much to correct with.
    """
    if n_reference < 2 * n_gate:
        raise ValueError(f"n_reference {n_reference} must be at least twice n_gate {n_gate}, which the choice costs")
    coarse, fine = problem.by_surrogate, problem.by_reference
    with spending(problem.solves) as spent:
        chain = pcn_posterior(problem, generator)
        gap = float(misfit_gap(coarse, fine, chain.thinned(n_gate)).std())
        left = n_reference - n_gate
        if gap < IMPORTANCE_LIMIT:
            found = reweighted(chain, coarse, fine, n_reference=left)
        elif gap < GAP_LIMIT and left >= 16 * 30:
            assert chain.gaussian is not None
            found = delayed_acceptance(
                coarse,
                fine,
                gaussian=chain.gaussian,
                starts=chain.thinned(16),
                n_reference=left,
                generator=generator,
            )
        else:
            found = adapted(coarse, fine, n_reference=left, generator=generator)
    return replace(found, spent=spent)
