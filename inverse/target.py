"""The posterior density that a method explores, and what its evaluations cost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.inverse.noise import Noise

ForwardMap = Callable[[Tensor], Tensor]


class Status(StrEnum):
    """What a result may claim about the posterior of the reference numerics, in growing strength.

    uncorrected: the surrogate's posterior; its error is in the answer, unknown.
    approximate: model error is accounted for, or the method approximates; no guarantee.
    reweighted: reference solves correct the draws; consistent, judged by its gate.
    exact: asymptotically exact for the reference discretisation.
    """

    UNCORRECTED = "uncorrected"
    APPROXIMATE = "approximate"
    REWEIGHTED = "reweighted"
    EXACT = "exact"

    def at_most(self, other: "Status") -> "Status":
        """The weaker of the two claims."""
        order = list(Status)
        return order[min(order.index(self), order.index(other))]


class BudgetExceeded(RuntimeError):
    """More reference solves were asked for than the budget allows; none of them was done."""


@dataclass
class Solves:
    """Counts model evaluations: one a sample for each solve, forward or adjoint."""

    surrogate: int = 0
    reference: int = 0
    limit: int | None = None

    def charge(self, n: int, *, reference: bool) -> None:
        if not reference:
            self.surrogate += n
        elif self.limit is not None and self.reference + n > self.limit:
            raise BudgetExceeded(f"{n} reference solves more than {self.reference} exceed the limit of {self.limit}")
        else:
            self.reference += n

    @contextmanager
    def at_most(self, n_reference: int | None) -> Iterator[None]:
        """A hard budget of reference solves from here on; None sets none."""
        before = self.limit
        if n_reference is not None:
            self.limit = self.reference + n_reference if before is None else min(before, self.reference + n_reference)
        try:
            yield
        finally:
            self.limit = before


@dataclass(frozen=True, kw_only=True)
class Target:
    """The density exp(-Phi(z) - |z|^2 / 2), Phi(z) = |Gamma^(-1/2) (y - H(z))|^2 / 2, z standard normal a priori.

    forward: H, from "batch dim" to "batch sensor", differentiable.
    data: y, one for all, or one for each sample of the batch.
    status: the claim that exact draws from this density would have.
    """

    forward: ForwardMap
    noise: Noise
    data: Float[Tensor, "*chain sensor"]
    dim: int
    status: Status
    solves: Solves = field(default_factory=Solves)

    def residual(self, z: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch sensor"]:
        """Gamma^(-1/2) (y - H(z)): standard normal at the truth of a right model."""
        return self.noise.whiten(self.data - self.forward(z))

    def misfit(self, z: Float[Tensor, "batch dim"]) -> Float[Tensor, " batch"]:
        """Phi."""
        return self.residual(z).square().sum(dim=-1) / 2

    def potential(self, z: Float[Tensor, "batch dim"]) -> Float[Tensor, " batch"]:
        """Phi + |z|^2 / 2: minus the log density, up to a constant."""
        return self.misfit(z) + z.square().sum(dim=-1) / 2

    def value_and_gradient(
        self, z: Float[Tensor, "batch dim"]
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch dim"]]:
        """Potential and its gradient, of each sample."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            value = self.potential(z)
            (gradient,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), gradient

    def linearised(self, z: Float[Tensor, " dim"]) -> tuple[Float[Tensor, " sensor"], Float[Tensor, "sensor dim"]]:
        """Whitened residual and d(Gamma^(-1/2) H)/dz at z: one solve and as many adjoints as there are sensors."""
        with torch.enable_grad():
            point = z.detach().unsqueeze(0).requires_grad_()
            residual = self.residual(point)[0]
            # A loop, not a batched backward: a solver's adjoint need not know vmap.
            rows = [torch.autograd.grad(r, point, retain_graph=True)[0][0] for r in residual]
        return residual.detach(), -torch.stack(rows)

    def corrected(
        self,
        bias: Float[Tensor, " sensor"],
        slope: Float[Tensor, "sensor dim"] | None,
        covariance: Float[Tensor, "sensor sensor"],
    ) -> "Target":
        """H(z) + bias + slope z with noise N(0, Gamma + covariance): the model's error as part of the model."""
        forward = self.forward

        def shifted(z: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch sensor"]:
            seen = forward(z) + bias
            return seen if slope is None else seen + z @ slope.T

        return replace(self, forward=shifted, noise=self.noise.plus(covariance), status=Status.APPROXIMATE)
