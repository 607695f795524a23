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

REST = 0.01


@dataclass(frozen=True, kw_only=True)
class MapEstimate(Posterior):
    """One draw, the mode. Read `mode` and `potential`.

    history: (evaluations of value and gradient so far, least potential so far), one entry an evaluation.
    converged: by the optimiser's own test, from the start that led to the mode; not stopped by a budget.
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
        with the best point so far, not converged. Nor is a search that begins where the potential is not finite, or
        whose last line search failed more than a hundredth of a posterior deviation from a mode.
    tolerance: on the largest component of the gradient in x.
    """
    gaussian = whitened_by or Gaussian.standard(target.dim)
    starts = gaussian.mean.unsqueeze(0) if starts is None else starts
    history: list[tuple[int, float]] = []
    best: tuple[float, Tensor] = (np.inf, starts[0])
    converged = False
    with spending(target.solves) as spent:
        try:
            for start in starts:
                search = _Search(target, gaussian, history, best)
                found = scipy.optimize.minimize(
                    search,
                    gaussian.whiten(start).numpy(),
                    jac=True,
                    method="L-BFGS-B",
                    callback=search.accept,
                    options={"maxfun": max_evaluations, "maxiter": max_evaluations, "gtol": tolerance, "ftol": 0},
                )
                if search.best[0] < best[0]:
                    best, converged = search.best, found.status == 0 or (found.status == 2 and _at_rest(found))
        except BudgetExceeded:
            best, converged = search.best, False
    return _estimate("L-BFGS MAP", target, best, history, converged, spent)


class _Search:
    """Potential and gradient in x, and the best point; where the model overflows, a wall that a line search backs from.

    There the potential along the step d from the last iterate, of slope s < 0, is taken to be -|s| t + 2 |s| t^2: above
    the iterate's at t = 1, so never accepted, and lowest at a quarter of the step.
    """

    def __init__(
        self, target: Target, gaussian: Gaussian, history: list[tuple[int, float]], best: tuple[float, Tensor]
    ) -> None:
        self.target, self.gaussian, self.history, self.best = target, gaussian, history, best
        self.seen: tuple[np.ndarray, float, np.ndarray] | None = None
        self.iterate: tuple[np.ndarray, float, np.ndarray] | None = None

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        z = self.gaussian.colour(torch.from_numpy(x))
        value, gradient = self.target.value_and_gradient(z.unsqueeze(0))
        finite = bool(value.isfinite().all() and gradient.isfinite().all())
        if finite and float(value) < self.best[0]:
            self.best = float(value), z
        self.history.append((len(self.history) + 1, self.best[0]))
        if finite:
            self.seen = x.copy(), float(value), (gradient[0] @ self.gaussian.factor).numpy()
            self.iterate = self.iterate or self.seen
            return self.seen[1:]
        if self.iterate is None:
            return np.inf, np.zeros_like(x)  # a start that overflows: ends the search there
        origin, level, slope = self.iterate
        step = x - origin
        drop = abs(float(slope @ step))
        return level + drop, 3 * drop * step / float(step @ step)

    def accept(self, intermediate_result: scipy.optimize.OptimizeResult) -> None:
        """The point seen last is the new iterate."""
        self.iterate = self.seen


def _at_rest(found: scipy.optimize.OptimizeResult) -> bool:
    """Was it rounding that stopped the line search? The Newton step left is at most REST posterior deviations long."""
    return float(found.jac @ (found.hess_inv @ found.jac)) <= REST**2


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
