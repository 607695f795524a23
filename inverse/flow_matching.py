"""Flow matching: a posterior for any data of a family of problems, whatever the number and the places of sensors."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from duhamel.inverse.observation import Points, random_places
from duhamel.inverse.posterior import Posterior, Spent, spending
from duhamel.inverse.problem import Forward, InverseProblem
from duhamel.inverse.sensor_flow import SensorFlow
from duhamel.inverse.target import Status

# Sets of sensors that a validation looks at; the same ones every time.
VALIDATIONS = 8


class FlowMatching:
    """A trained flow and the family of inverse problems that it answers: `posterior` takes any of them.

    example: one problem of the family: prior, equation, dt and states seen are those of all.
    n_sensors: least and largest number of places. noise: standard deviation of every reading.
    spent: on simulations and training. validation_loss: of the weights that were kept.
    """

    def __init__(
        self, flow: SensorFlow, example: InverseProblem, n_sensors: tuple[int, int], noise: float, status: Status
    ) -> None:
        self.flow, self.example, self.n_sensors, self.noise, self.status = flow, example, n_sensors, noise, status
        self.spent = Spent()
        self.validation_loss = math.inf

    def posterior(self, problem: InverseProblem, generator: torch.Generator, *, n_draws: int = 1000) -> Posterior:
        """Draws for the problem's data, without a solve: the training has paid. `approximate` at best.

        Raises ValueError where the problem is not one that the flow was trained for.
        """
        positions = self._checked(problem)
        with spending(problem.solves) as spent:
            tokens = self.flow.tokens(positions, problem.data.float().unsqueeze(0))
            draws = self.flow.sample(tokens, n_draws, generator).double()
        return Posterior(method="flow matching", status=self.status, samples=draws, spent=spent)

    def _checked(self, problem: InverseProblem) -> Float[Tensor, "place axis"]:
        seen, grid, example = problem.observation, self.flow.grid, self.example
        domains = [(g.extent, g.origin, g.boundary) for g in (grid, problem.grid)]
        if problem.prior.dim != self.flow.dim or domains[0] != domains[1]:
            raise ValueError(
                f"this flow was trained for {self.flow.dim} coefficients on {grid.extent} from {grid.origin} "
                f"({', '.join(grid.boundary)}), got {problem.prior.dim} on {problem.grid.extent} from "
                f"{problem.grid.origin} ({', '.join(problem.grid.boundary)})"
            )
        example.prior.problem.require_same(problem.prior.problem, owner="the flow", asker="the prior")
        # In their order, too: it says which coefficient is whose.
        trained, asked = (list(p.prior.parts.items()) for p in (example, problem))
        if trained != asked:
            raise ValueError(f"this flow was trained for the prior {trained}, got {asked}")
        states, wanted = (_states_seen(p) for p in (example, problem))
        if not isinstance(seen, Points) or (wanted, seen.channel) != (states, example.observation.channel):
            raise ValueError(
                f"this flow was trained for points at steps {states} of channel {example.observation.channel}, got "
                f"{type(seen).__name__} at {wanted} of {seen.channel}"
            )
        if seen.mask is not None:
            raise ValueError("leave missing sensors out of the positions: this observation has a mask")
        positions = torch.as_tensor(seen.positions)
        low, high = self.n_sensors
        if not low <= len(positions) <= high:
            raise ValueError(f"this flow was trained for {low} to {high} sensors, got {len(positions)}")
        _noise_level(problem, self.noise)
        return positions


def _states_seen(problem: InverseProblem) -> list[int]:
    """Steps counted from the initial state: the last one of another number of steps is another state."""
    return [step % (problem.n_steps + 1) for step in problem.observation.steps]


def _noise_level(problem: InverseProblem, expected: float | None = None) -> float:
    """The one standard deviation of all readings, which must be independent."""
    level = float(problem.noise.std[0]) if expected is None else expected
    if not torch.allclose(problem.noise.std, torch.full_like(problem.noise.std, level), rtol=1e-3):
        low, high = float(problem.noise.std.min()), float(problem.noise.std.max())
        raise ValueError(f"a flow is trained for one noise level, {level:.4g}; here it lies in {low:.4g} to {high:.4g}")
    identity = torch.eye(len(problem.noise.std), dtype=torch.float64)
    if not torch.allclose(problem.noise.whiten(identity) * level, identity, rtol=1e-3, atol=1e-3):
        raise ValueError("a flow is trained for independent noise; here the noise of readings is correlated")
    return level


def trained_flow(
    problem: InverseProblem,
    generator: torch.Generator,
    *,
    n_sensors: tuple[int, int] = (5, 100),
    n_simulations: int = 20000,
    n_epochs: int = 15,
    batch_size: int = 128,
    width: int = 64,
    n_layers: int = 2,
    rate: float = 1e-3,
) -> FlowMatching:
    """Trains on simulations of the surrogate, or of the reference; sensors and noise are new in each batch.

    The number of sensors is drawn log-uniformly: posteriors change most where there are few.

    problem: an example: its prior, grid, steps seen and noise level are those of all; its places and data are not used.
    A tenth of the simulations picks the epoch. Raises ValueError for an observation other than `Points`, for noise
    that differs between readings or is correlated, and for numbers of sensors that are none.
    """
    seen = problem.observation
    if not isinstance(seen, Points):
        raise ValueError(f"a flow over sensors needs an observation of points, got {type(seen).__name__}")
    low, high = n_sensors
    if not 1 <= low <= high:
        raise ValueError(f"n_sensors {n_sensors}: the least number must be at least 1 and at most the largest")
    level = _noise_level(problem)
    reference = problem.surrogate is None
    forward = problem.reference_forward if reference else problem.surrogate_forward
    with spending(problem.solves) as spent, torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        flow = SensorFlow(problem.prior.dim, forward.grid, len(seen.steps), width=width, n_layers=n_layers)
        status = Status.EXACT if reference else Status.UNCORRECTED
        trained = FlowMatching(flow, problem, n_sensors, level, status.at_most(Status.APPROXIMATE))
        z = torch.randn(n_simulations, problem.prior.dim, generator=generator, dtype=torch.float64)
        problem.solves.charge(n_simulations, reference=reference)
        states = _states(forward, z, seen)
        flow.fit_scales(states, level)

        def batch(index: Tensor, dice: torch.Generator) -> tuple[Tensor, Tensor]:
            number = min(high, int(low * ((high + 1) / low) ** float(torch.rand((), generator=dice))))
            places = Points(positions=random_places(number, forward.grid, dice))
            read = places.read(states[index].flatten(0, 1), forward.grid).reshape(len(index), -1)
            noisy = read + level * torch.randn(read.shape, generator=dice)
            return z[index].float(), flow.tokens(torch.as_tensor(places.positions), noisy)

        held_out = max(1, n_simulations // 10)

        @torch.no_grad()
        def validation() -> float:
            dice = torch.Generator().manual_seed(0)
            parts = torch.arange(held_out).chunk(VALIDATIONS)
            return float(torch.stack([flow.loss(*batch(part, dice), dice) for part in parts]).mean())

        steps = n_epochs * -(-(n_simulations - held_out) // batch_size)
        optimizer = torch.optim.AdamW(flow.parameters(), lr=rate, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.05)
        kept = flow.state_dict()
        for _ in range(n_epochs):
            order = held_out + torch.randperm(n_simulations - held_out, generator=generator)
            for index in order.split(batch_size):
                optimizer.zero_grad()
                flow.loss(*batch(index, generator), generator).backward()
                nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
                optimizer.step()
                schedule.step()
            if (now := validation()) < trained.validation_loss:
                trained.validation_loss, kept = now, {name: value.clone() for name, value in flow.state_dict().items()}
        flow.load_state_dict(kept)
    trained.spent = spent
    flow.requires_grad_(False)
    return trained


@torch.no_grad()
def _states(forward: Forward, z: Float[Tensor, "batch dim"], seen: Points) -> Float[Tensor, "batch time *space"]:
    """The states that sensors read, in single precision."""
    parts = [forward.trajectory(part)[:, list(seen.steps), seen.channel].float() for part in z.split(256)]
    return torch.cat(parts)
