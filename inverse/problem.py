"""An inverse problem: prior, observation, noise and data, with a cheap model, a trusted one, or both."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Problem, Propagator, State, rollout
from duhamel.inverse.noise import Noise
from duhamel.inverse.observation import Observation
from duhamel.inverse.priors import Prior
from duhamel.inverse.target import ForwardMap, Solves, Status, Target


@dataclass(frozen=True, kw_only=True)
class Forward:
    """H = O . rollout(step) . T: whitened coordinates to what the sensors read, in float64.

    step: a surrogate or a reference solver, on `grid`.
    dtype, device: in and on which `step` computes; z and what the sensors read stay where z is.
    """

    prior: Prior
    observation: Observation
    step: Propagator
    grid: Grid
    n_steps: int = 1
    dtype: torch.dtype = torch.float64
    device: torch.device = torch.device("cpu")

    def trajectory(self, z: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch time channel *space"]:
        """States 0, ..., n_steps, differentiable in z."""
        u0, params = self.prior(z, self.grid)
        u0, params = u0.to(self.device, self.dtype), params.to(self.device, self.dtype)
        return rollout(self.step, u0, params, self.n_steps, include_initial=True).to(z.device)

    def __call__(self, z: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch sensor"]:
        return self.observation(self.trajectory(z), self.grid).double()


@dataclass(frozen=True, kw_only=True)
class InverseProblem:
    """Infer z ~ N(0, I) from y = O(u(T(z))) + noise.

    surrogate, reference: propagators on `grid` and `reference_grid` (`grid` where not given); a `Surrogate` in float32
        computes in float32, on the device where its weights are; its numbers are read in float64, where z is. At least
        one is needed; what needs both says so. Raises ValueError where one has a `problem` that is not the prior's, or
        a domain that is not the grid's (ends within two spacings of the coarser grid, as of files of one data set).
    n_steps: of the rollout; 1 for a stationary problem.
    """

    prior: Prior
    observation: Observation
    noise: Noise
    data: Float[Tensor, " sensor"]
    grid: Grid
    n_steps: int = 1
    surrogate: Propagator | None = None
    reference: Propagator | None = None
    reference_grid: Grid | None = None
    solves: Solves = field(default_factory=Solves)

    def __post_init__(self) -> None:
        if self.surrogate is None and self.reference is None:
            raise ValueError("an inverse problem needs a surrogate or a reference")
        for owner, step, grid in (
            ("the surrogate", self.surrogate, self.grid),
            ("the reference", self.reference, self.reference_grid or self.grid),
        ):
            known = getattr(step, "problem", None)  # callables of others say nothing of what they solve
            if isinstance(known, Problem):
                known.require_same(self.prior.problem, owner=owner, asker="the prior")
                _require_same_domain(known.grid, grid, owner)
        if not bool(self.data.isfinite().all()):
            raise ValueError("the data hold NaN or infinity: leave missing numbers out by the observation's mask")
        if len(self.noise.std) != len(self.data):
            raise ValueError(f"noise of {len(self.noise.std)} numbers, data of {len(self.data)}")

    @property
    def surrogate_forward(self) -> Forward:
        if self.surrogate is None:
            raise ValueError("this needs a surrogate, and the problem has none")
        weights = getattr(self.surrogate, "parameters", None)
        first = next(iter(weights()), None) if weights else None
        if first is None:
            return self._forward(self.surrogate, self.grid)
        return replace(self._forward(self.surrogate, self.grid), dtype=first.dtype, device=first.device)

    @property
    def reference_forward(self) -> Forward:
        if self.reference is None:
            raise ValueError("this needs a reference, and the problem has none")
        return self._forward(self.reference, self.reference_grid or self.grid)

    def _forward(self, step: Propagator, grid: Grid) -> Forward:
        return Forward(prior=self.prior, observation=self.observation, step=step, grid=grid, n_steps=self.n_steps)

    @property
    def by_surrogate(self) -> Target:
        """The surrogate's posterior: `uncorrected`, however exactly it is sampled."""
        return self._target(self.surrogate_forward, Status.UNCORRECTED, reference=False)

    @property
    def by_reference(self) -> Target:
        """The posterior of the reference discretisation."""
        return self._target(self.reference_forward, Status.EXACT, reference=True)

    def _target(self, forward: Forward, status: Status, *, reference: bool) -> Target:
        return Target(
            forward=counted(forward, self.solves, reference=reference),
            noise=self.noise,
            data=self.data,
            dim=self.prior.dim,
            status=status,
            solves=self.solves,
        )


def _require_same_domain(theirs: Grid, ours: Grid, owner: str) -> None:
    """Their number of points may be another; a grid that was strided is a little shorter."""
    same = theirs.boundary == ours.boundary and all(
        max(abs(a - b), abs(left - origin)) <= 2 * max(h, k)
        for a, b, left, origin, h, k in zip(
            theirs.extent, ours.extent, theirs.origin, ours.origin, theirs.spacing, ours.spacing, strict=True
        )
    )
    if not same:
        raise ValueError(f"{owner} is for another domain: {theirs.to_dict()}; it is asked for {ours.to_dict()}")


def counted(forward: ForwardMap, solves: Solves, *, reference: bool) -> ForwardMap:
    """The same map, each sample charged to `solves`: one solve forward, one more for each backward pass."""

    def charged(z: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch sensor"]:
        solves.charge(len(z), reference=reference)
        seen: State = forward(z)
        if seen.requires_grad:
            seen.register_hook(lambda gradient: solves.charge(len(gradient), reference=reference))
        return seen

    return charged
