"""Between physical units and the order-one variables that an operator sees; travels inside the surrogate."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from duhamel.fields import Moments, Parameters, Problem, Quantity, State, Statistics

DECADE = 10.0


class Affine(nn.Module):
    """z = (x - mean) / scale, or (log x - mean) / scale where `log`, one pair of numbers a quantity."""

    mean: Float[Tensor, " quantity"]
    scale: Float[Tensor, " quantity"]
    log: Bool[Tensor, " quantity"]

    def __init__(self, n_quantities: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_quantities))
        self.register_buffer("scale", torch.ones(n_quantities))
        self.register_buffer("log", torch.zeros(n_quantities, dtype=torch.bool))

    def fit(self, moments: Moments, log: Bool[Tensor, " quantity"]) -> None:
        mean, std = torch.where(log, moments.log_mean, moments.mean), torch.where(log, moments.log_std, moments.std)
        self.mean.copy_(mean)
        # A quantity that never varies (up to rounding) is shifted only: dividing by noise would amplify it.
        varies = std > 1e-6 * mean.abs()
        self.scale.copy_(torch.where(varies, std, torch.ones_like(std)))
        self.log.copy_(log)

    def encode(self, x: Tensor, *, axis: int) -> Tensor:
        mean, scale, log = (self._aligned(t, x, axis) for t in (self.mean, self.scale, self.log))
        # log(1) where it is not wanted: a NaN in the branch not taken would poison the gradient.
        logarithm = torch.where(log, x, torch.ones_like(x)).log()
        return (torch.where(log, logarithm, x) - mean) / scale if self.mean.numel() else x

    def decode(self, z: Tensor, *, axis: int) -> Tensor:
        mean, scale, log = (self._aligned(t, z, axis) for t in (self.mean, self.scale, self.log))
        x = z * scale + mean
        return torch.where(log, torch.where(log, x, torch.zeros_like(x)).exp(), x) if self.mean.numel() else z

    @staticmethod
    def _aligned(values: Tensor, x: Tensor, axis: int) -> Tensor:
        return values.reshape(-1, *(1,) * (x.ndim - axis - 1))


class Normaliser(nn.Module):
    """Training statistics as buffers: encodes states and parameters, turns an operator's output into an increment.

    States and fields are centred and divided by their standard deviation, channel by channel. A quantity that the
    physics keeps positive and that spans a decade or more in training is encoded by its logarithm. Increments are
    measured in their own root mean square, so that the operator's output is of order one whatever dt is.
    """

    increment_mean: Float[Tensor, " channel"]
    increment_scale: Float[Tensor, " channel"]

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.quantities = (problem.channels, problem.scalars, problem.coefficients)
        self.channels = Affine(len(problem.channels))
        self.scalars = Affine(len(problem.scalars))
        self.coefficients = Affine(len(problem.coefficients))
        self.register_buffer("increment_mean", torch.zeros(len(problem.channels)))
        self.register_buffer("increment_scale", torch.ones(len(problem.channels)))

    @classmethod
    def fitted(cls, problem: Problem, statistics: Statistics, *, log: Sequence[str] | None = None) -> "Normaliser":
        """The normaliser of a training split.

        log: names of the quantities to encode by their logarithm; None takes the positive ones that span a decade.
        Raises ValueError for a quantity in `log` that is unknown, anywhere zero or negative in training, or the state
        of a stationary problem, whose guess of zeros has no logarithm.
        """
        self = cls(problem)
        # The state of a stationary problem is the zero guess; what there is to normalise is the solution.
        states = statistics.increments if problem.steady else statistics.channels
        groups = (
            (self.channels, problem.channels, states),
            (self.scalars, problem.scalars, statistics.scalars),
            (self.coefficients, problem.coefficients, statistics.coefficients),
        )
        known = {q.name for _, quantities, _ in groups for q in quantities}
        if log is not None and not known.issuperset(log):
            raise ValueError(f"log scaling asked for {sorted(set(log) - known)}; the data hold {sorted(known)}")
        if problem.steady and (solved := {q.name for q in problem.channels}.intersection(log or ())):
            raise ValueError(f"{sorted(solved)} of a stationary problem cannot be scaled by its logarithm")
        for affine, quantities, moments in groups:
            if problem.steady and affine is self.channels:
                affine.fit(moments, torch.zeros(len(quantities), dtype=torch.bool))
            else:
                affine.fit(moments, _logarithmic(quantities, moments, log))
        self._fit_increments(problem, statistics.increments)
        return self

    def _fit_increments(self, problem: Problem, increments: Moments) -> None:
        if problem.steady:
            # From the encoded zero guess to the encoded solution: the operator's output is that solution.
            self.increment_mean.copy_(self.channels.mean / self.channels.scale)
            return
        mean_square = increments.mean.square() + increments.std.square()
        log_mean_square = increments.log_mean.square() + increments.log_std.square()
        rms = torch.where(self.channels.log, log_mean_square, mean_square).sqrt()
        if not bool((rms > 0).all()):
            still = [q.name for q, r in zip(problem.channels, rms.tolist(), strict=True) if not r > 0]
            raise ValueError(f"channels {still} never change in the training split: nothing to learn")
        self.increment_scale.copy_(rms / self.channels.scale)

    def encode(self, u: State) -> State:
        return self.channels.encode(u, axis=1)

    def decode(self, z: State) -> State:
        return self.channels.decode(z, axis=1)

    def encode_parameters(self, params: Parameters) -> Parameters:
        return Parameters(self.scalars.encode(params.scalars, axis=1), self.coefficients.encode(params.fields, axis=1))

    def check_positive(self, u: State, params: Parameters) -> None:
        """Raises ValueError where a quantity that is encoded by its logarithm is not positive. Waits for the device."""
        affines, values = (self.channels, self.scalars, self.coefficients), (u, params.scalars, params.fields)
        for affine, quantities, tensor in zip(affines, self.quantities, values, strict=True):
            for q, log, value in zip(quantities, affine.log.tolist(), tensor.unbind(1), strict=True):
                if log and not bool((value > 0).all()):
                    raise ValueError(
                        f"{q.name} must be positive, for its logarithm is taken: its least value is "
                        f"{value.min().item():g}"
                    )

    def is_identity(self) -> bool:
        """Whether encoded variables are the physical ones, and outputs their increments."""
        affine = (self.channels, self.scalars, self.coefficients)
        means = [*(a.mean for a in affine), *(a.log for a in affine), self.increment_mean]
        scales = [*(a.scale for a in affine), self.increment_scale]
        return not any(bool(m.any()) for m in means) and all(bool((s == 1).all()) for s in scales)

    def output(self, z: State, z_next: State) -> State:
        """What an operator should return between two encoded states: `advance` undone."""
        shape = (-1, *(1,) * (z.ndim - 2))
        return (z_next - z - self.increment_mean.reshape(shape)) / self.increment_scale.reshape(shape)

    def advance(self, z: State, output: State) -> State:
        """The next encoded state: z + s G, in the precision of z whatever that of the operator."""
        shape = (-1, *(1,) * (z.ndim - 2))
        increment = self.increment_mean.reshape(shape) + self.increment_scale.reshape(shape) * output.to(z.dtype)
        return z + increment


def _logarithmic(
    quantities: Sequence[Quantity], moments: Moments, log: Sequence[str] | None
) -> Bool[Tensor, " quantity"]:
    chosen = []
    for q, lowest, highest in zip(quantities, moments.minimum.tolist(), moments.maximum.tolist(), strict=True):
        if log is None:
            chosen.append(q.positive and lowest > 0 and highest >= DECADE * lowest)
        elif q.name in log and lowest <= 0:
            raise ValueError(f"{q.name} cannot be scaled by its logarithm: its least value in training is {lowest}")
        else:
            chosen.append(q.name in log)
    return torch.tensor(chosen, dtype=torch.bool)
