"""What every method returns: weighted draws, what they cost, what they may claim, and whether they may claim it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.inverse.gaussian import Gaussian
from duhamel.inverse.target import Solves, Status, Target

Functional = Callable[[Tensor], Tensor]
NOT_FINITE = "share of draws that are not finite"


class GateFailed(ValueError):
    """An interval was asked of a result that failed its own test."""


@dataclass(frozen=True)
class Gate:
    """A test of a result: passed where value <= limit. advice: what to do where it is not."""

    name: str
    value: float
    limit: float
    advice: str = ""

    @property
    def passed(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        verdict = "passed" if self.passed else f"FAILED{': ' + self.advice if self.advice else ''}"
        return f"{self.name} {self.value:.3g} (limit {self.limit:g}) {verdict}"


@dataclass
class Spent:
    """Model evaluations (forward and adjoint, one a sample), wall time and processor time of one method."""

    surrogate: int = 0
    reference: int = 0
    seconds: float = 0.0
    core_seconds: float = 0.0


@contextmanager
def spending(solves: Solves) -> Iterator[Spent]:
    """Filled in when the block ends."""
    spent, start, start_core = Spent(), time.perf_counter(), time.process_time()
    before = solves.surrogate, solves.reference
    yield spent
    spent.surrogate, spent.reference = solves.surrogate - before[0], solves.reference - before[1]
    spent.seconds, spent.core_seconds = time.perf_counter() - start, time.process_time() - start_core


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """Draws z of each chain, in whitened coordinates.

    chains: drawn one after another by Markov chains, so that an effective sample size says what they are worth.
        Ensemble members depend on one another, and a fitted density gives as many draws as are asked for.
    weights: sum to one; some are negative where an estimator is a sum of corrections. None: equal.
    gates: one more where draws are not finite, which fails.
    gaussian: the Gaussian that the method fitted or was preconditioned by.
    acceptance: share of accepted proposals.
    target: the density that was sampled, with the error model that was fitted on the way.
    """

    method: str
    status: Status
    samples: Float[Tensor, "chain draw dim"]
    spent: Spent
    weights: Float[Tensor, "chain draw"] | None = None
    gates: tuple[Gate, ...] = ()
    gaussian: Gaussian | None = None
    acceptance: float | None = None
    target: Target | None = None
    chains: bool = False

    def __post_init__(self) -> None:
        lost = 1 - float(self.samples.isfinite().all(dim=-1).double().mean())
        if lost and NOT_FINITE not in (gate.name for gate in self.gates):
            object.__setattr__(self, "gates", (*self.gates, Gate(NOT_FINITE, lost, 0.0, "the model overflows")))

    @property
    def draws(self) -> Float[Tensor, "draw dim"]:
        """All chains in a row."""
        return self.samples.flatten(0, 1)

    @property
    def draw_weights(self) -> Float[Tensor, " draw"]:
        n = len(self.draws)
        return torch.full((n,), 1 / n, dtype=torch.float64) if self.weights is None else self.weights.flatten()

    @property
    def passed(self) -> bool:
        return all(gate.passed for gate in self.gates)

    def with_gates(self, *gates: Gate) -> "Posterior":
        return replace(self, gates=(*self.gates, *gates))

    def thinned(self, n: int) -> Float[Tensor, "draw dim"]:
        """n draws, equally far apart in the row of all. ValueError where they have weights, which would be lost."""
        if self.weights is not None:
            raise ValueError(f"{self.method}: weighted draws are not a sample of the posterior, and cannot be thinned")
        return self.draws[torch.linspace(0, len(self.draws) - 1, n).round().long()]

    def mean(self, quantity: Functional | None = None) -> Float[Tensor, "..."]:
        """E[q(z)], of z itself where no quantity is given; a mean is given whatever the gates say."""
        values = self.draws if quantity is None else quantity(self.draws)
        return torch.tensordot(self.draw_weights.to(values), values, dims=1)

    def std(self, quantity: Functional | None = None) -> Float[Tensor, "..."]:
        self._require_distribution()
        values = self.draws if quantity is None else quantity(self.draws)
        weights = self.draw_weights.to(values)
        centred = values - torch.tensordot(weights, values, dims=1)
        # Signed weights can leave a negative estimate of a small variance.
        return torch.tensordot(weights, centred.square(), dims=1).clamp_min(0).sqrt()

    def covariance(self) -> Float[Tensor, "dim dim"]:
        self._require_distribution()
        centred = self.draws - self.mean()
        return (self.draw_weights[:, None] * centred).T @ centred

    def interval(
        self, quantity: Functional | None = None, *, level: float = 0.9
    ) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
        """Ends of the central interval of probability `level`. Raises `GateFailed` for a result that failed a gate."""
        self._require_distribution()
        if not self.passed:
            failed = "; ".join(str(gate) for gate in self.gates if not gate.passed)
            raise GateFailed(f"{self.method} ({self.status}): no interval, {failed}")
        values = self.draws if quantity is None else quantity(self.draws)
        order = values.argsort(dim=0)
        ranked = values.gather(0, order)
        mass = self.draw_weights.to(values)[order].cumsum(dim=0)

        def quantile(p: float) -> Tensor:
            return ranked.gather(0, (mass < p).sum(dim=0, keepdim=True).clamp_max(len(values) - 1))[0]

        return quantile((1 - level) / 2), quantile((1 + level) / 2)

    def _require_distribution(self) -> None:
        if len(self.draws) < 2:
            raise ValueError(f"{self.method} is a point estimate: it has no spread")

    def report(self) -> str:
        """Method, status, cost and gates, a line each; says so where an interval would not be given."""
        cost = f"{self.spent.surrogate} surrogate and {self.spent.reference} reference solves"
        lines = [f"{self.method}: {self.status}", f"{cost}, {self.spent.seconds:.1f} s", *map(str, self.gates)]
        if not self.passed:
            lines.append("a gate failed: no interval is given")
        return "\n".join(lines)
