"""Maximum a posteriori points: the least of the potential Phi(z) + |z|^2 / 2."""

from dataclasses import dataclass, field

import numpy as np
import scipy.optimize
import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.inverse.gaussian import Gaussian
from duhamel.inverse.posterior import Posterior, Spent, spending
from duhamel.inverse.target import BudgetExceeded, Target


@dataclass(frozen=True, kw_only=True)
class MapEstimate(Posterior):
    """One draw, the mode. Read `mode` and `potential`.

    history: (evaluations of value and gradient so far, least potential so far), one entry an evaluation.
    converged: by the optimiser's own test, not stopped by a budget.
    """

    potential: float
    history: tuple[tuple[int, float], ...] = field(repr=False)
    converged: bool

    @property
    def mode(self) -> Float[Tensor, " dim"]:
        return self.draws[0]


def lbfgs_map(
    target: Target,
    *,
    starts: Float[Tensor, "start dim"] | None = None,
    whitened_by: Gaussian | None = None,
    max_evaluations: int = 1000,
    tolerance: float = 1e-6,
) -> MapEstimate:
    """The best of L-BFGS from each of `starts` (the origin, or the mean of `whitened_by`).

    whitened_by: minimise over x, z = m + L x: with a Laplace approximation the Hessian in x is near the identity.
    max_evaluations: of value and gradient, for each start. A budget of reference solves that runs out ends the search
        with the best point so far, not converged.
    tolerance: on the largest component of the gradient in x.
    """
    gaussian = whitened_by or Gaussian.standard(target.dim)
    starts = gaussian.mean.unsqueeze(0) if starts is None else starts
    history: list[tuple[int, float]] = []
    best: tuple[float, Tensor] = (np.inf, starts[0])
    converged = True

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        z = gaussian.colour(torch.from_numpy(x))
        value, gradient = target.value_and_gradient(z.unsqueeze(0))
        if float(value) < best[0]:
            best = float(value), z
        history.append((len(history) + 1, best[0]))
        return float(value), (gradient[0] @ gaussian.factor).numpy()

    with spending(target.solves) as spent:
        for start in starts:
            try:
                found = scipy.optimize.minimize(
                    objective,
                    gaussian.whiten(start).numpy(),
                    jac=True,
                    method="L-BFGS-B",
                    options={"maxfun": max_evaluations, "maxiter": max_evaluations, "gtol": tolerance, "ftol": 0},
                )
                # Status 2 is a line search that rounding stopped: as converged as the arithmetic allows.
                converged = converged and found.status in (0, 2)
            except BudgetExceeded:
                converged = False
                break
    return _estimate("L-BFGS MAP", target, best, history, converged and bool(np.isfinite(best[0])), spent)


def gauss_newton_map(
    target: Target, *, start: Float[Tensor, " dim"] | None = None, max_iterations: int = 50, tolerance: float = 1e-6
) -> MapEstimate:
    """Levenberg-Marquardt: (J^T J + (1 + mu) I) s = J^T r - z, J and r whitened; mu grows where a step fails.

    Each iteration costs a solve and an adjoint a sensor, each trial step one more solve. Ends where |s| < tolerance,
    and not converged where the start has no finite potential (then infinity is given) or a Jacobian is not finite.
    """
    z = torch.zeros(target.dim, dtype=torch.float64) if start is None else start
    identity = torch.eye(target.dim, dtype=torch.float64)
    damping, converged, value = 0.0, False, np.inf
    history: list[tuple[int, float]] = []
    with spending(target.solves) as spent:
        for i in range(max_iterations):
            r, jacobian = target.linearised(z)
            value = float((r.square().sum() / 2 + z.square().sum() / 2).nan_to_num(nan=torch.inf, posinf=torch.inf))
            history.append((i + 1, value))
            if not np.isfinite(value) or not bool(jacobian.isfinite().all()):
                break
            while True:
                system = jacobian.T @ jacobian + (1 + damping) * identity
                step = torch.linalg.solve(system, jacobian.T @ r - z)
                with torch.no_grad():
                    trial = float(target.potential((z + step).unsqueeze(0)))
                if trial <= value or float(step.norm()) < tolerance:
                    break
                damping = max(4 * damping, 1.0)
            damping /= 4
            if trial <= value:
                z, value = z + step, trial
            if float(step.norm()) < tolerance:
                converged = True
                break
    return _estimate("Gauss-Newton MAP", target, (value, z), history, converged, spent)


def _estimate(
    method: str,
    target: Target,
    best: tuple[float, Tensor],
    history: list[tuple[int, float]],
    converged: bool,
    spent: Spent,
) -> MapEstimate:
    return MapEstimate(
        method=method,
        status=target.status,
        samples=best[1].reshape(1, 1, -1),
        spent=spent,
        potential=best[0],
        history=tuple(history),
        converged=converged,
    )
