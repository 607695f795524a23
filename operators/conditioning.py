"""How the numbers among the parameters enter an operator: one interface, chosen in YAML, for every architecture."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.fields import Parameters, Problem, State
from duhamel.operators.base import Claims, Component
from duhamel.operators.pointwise import broadcast_scalars

Scalars = Float[Tensor, "batch param"]
Features = Float[Tensor, "batch feature"]
Inputs = Float[Tensor, "batch channel_in *space"]
Hidden = Float[Tensor, "batch hidden *space"]


class Embedding(Component, ABC):
    """Features of the encoded parameters. What spans decades was encoded by its logarithm already (`Normaliser`)."""

    @abstractmethod
    def width(self, n_params: int) -> int: ...

    @abstractmethod
    def __call__(self, scalars: Scalars) -> Features: ...


@dataclass(frozen=True)
class Raw(Embedding):
    """The encoded parameters themselves."""

    def width(self, n_params: int) -> int:
        return n_params

    def __call__(self, scalars: Scalars) -> Features:
        return scalars


@dataclass(frozen=True)
class Saturated(Embedding):
    """1 / (1 + exp(-z)) of each encoded parameter z: p / (1 + p) of a positive p where z = log p.

    In training z = (log p - m) / s with the mean m and the deviation s of log p, for what spans decades: then it is q /
    (1 + q) with q = (p / exp(m))^(1 / s), which is neither 0 nor 1 all over the trained range, as p / (1 + p) is.
    Source: Takamoto, Alesiani and Niepert (2023), CAPE, on flows in two dimensions.
    """

    def width(self, n_params: int) -> int:
        return n_params

    def __call__(self, scalars: Scalars) -> Features:
        return torch.sigmoid(scalars)


@dataclass(frozen=True, kw_only=True)
class FourierFeatures(Embedding):
    """p, sin(2^j pi p / period) and cos(2^j pi p / period), j < n_frequencies, for each encoded parameter p.

    period: in standard deviations of the parameter; beyond a trained range of +- period the features repeat.
    """

    n_frequencies: int = 4
    period: float = 4.0

    def __post_init__(self) -> None:
        if self.n_frequencies < 1 or self.period <= 0:
            raise ValueError(f"n_frequencies and period must be positive, got {self}")

    def width(self, n_params: int) -> int:
        return n_params * (1 + 2 * self.n_frequencies)

    def __call__(self, scalars: Scalars) -> Features:
        frequencies = math.pi / self.period * 2.0 ** torch.arange(self.n_frequencies, device=scalars.device)
        angles = (scalars[..., None] * frequencies.to(scalars.dtype)).flatten(1)
        return torch.cat([scalars, angles.sin(), angles.cos()], dim=1)


class Modulation(nn.Module):
    """What the parameters do to the hidden channels of one block: nothing, unless a conditioning says otherwise."""

    def forward(self, v: Hidden, params: Parameters) -> Hidden:
        return v


class Conditioner(Claims, nn.Module):
    """A conditioning at work in one operator, which maps n_inputs channels to n_outputs channels in between.

    The operator takes over what it claims (`Claims`).
    state: whether the state is among the inputs; a stationary problem's guess holds nothing and may be left out.
    """

    def __init__(self, problem: Problem, *, state: bool) -> None:
        super().__init__()
        self.state = state
        self.n_channels = len(problem.channels)
        self.n_inputs = (self.n_channels if state else 0) + len(problem.coefficients)
        self.n_outputs = self.n_channels

    def encode(self, u: State, params: Parameters) -> Inputs:
        """What enters the operator: state, coefficient fields and whatever the parameters add."""
        return torch.cat([u, params.fields], dim=1) if self.state else params.fields

    def modulation(self, width: int) -> Modulation:
        """A new layer for hidden channels of this width, to be kept and called by the operator."""
        return Modulation()

    def decode(self, v: Float[Tensor, "batch channel_out *space"]) -> State:
        """The operator's output from its n_outputs channels."""
        return v


class Conditioning(Component, ABC):
    """A way for parameters to enter; `bind` makes its layers for one operator of one problem."""

    @abstractmethod
    def bind(self, problem: Problem, *, state: bool = True) -> Conditioner: ...


@dataclass(frozen=True)
class Unconditioned(Conditioning):
    """Blind to the numbers among the parameters; coefficient fields are seen."""

    def bind(self, problem: Problem, *, state: bool = True) -> Conditioner:
        conditioner = Conditioner(problem, state=state)
        conditioner.blind = "unconditioned"
        return conditioner


@dataclass(frozen=True)
class Concatenation(Conditioning):
    """Each feature of the parameters is one more input, constant in space."""

    embedding: Embedding = Raw()

    def bind(self, problem: Problem, *, state: bool = True) -> Conditioner:
        return _Concatenated(problem, self.embedding, state=state)


class _Concatenated(Conditioner):
    def __init__(self, problem: Problem, embedding: Embedding, *, state: bool) -> None:
        super().__init__(problem, state=state)
        self.embedding = embedding
        self.n_inputs += embedding.width(len(problem.scalars))

    def encode(self, u: State, params: Parameters) -> Inputs:
        constants = broadcast_scalars(self.embedding(params.scalars), tuple(u.shape[2:]))
        return torch.cat([*([u] if self.state else []), constants, params.fields], dim=1)


@dataclass(frozen=True, kw_only=True)
class FiLM(Conditioning):
    """v <- v (1 + gamma(mu)) + beta(mu) in every block, after its normalisation where it has one (adaptive norm).

    gamma and beta come from one hidden layer of `width` and start at zero: the identity at initialisation.
    Source: Perez et al. (2018), FiLM, eqs. (1) and (2); the zero start is that of Peebles and Xie (2023), adaLN-Zero.
    Raises ValueError for a problem without numbers among its parameters.
    """

    width: int = 64
    embedding: Embedding = Raw()

    def bind(self, problem: Problem, *, state: bool = True) -> Conditioner:
        require_scalars(self, problem)
        return _Modulated(problem, self.embedding, self.width, state=state)


class _Modulated(Conditioner):
    def __init__(self, problem: Problem, embedding: Embedding, width: int, *, state: bool) -> None:
        super().__init__(problem, state=state)
        self.embedding, self.width, self.n_params = embedding, width, len(problem.scalars)

    def modulation(self, width: int) -> Modulation:
        return AffineModulation(self.embedding, self.n_params, self.width, width)


class AffineModulation(Modulation):
    """v (1 + gamma) + beta with [gamma, beta] = W2 gelu(W1 e(mu) + b1) + b2, W2 and b2 zero at first."""

    def __init__(self, embedding: Embedding, n_params: int, hidden: int, n_channels: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.inner = nn.Linear(embedding.width(n_params), hidden)
        self.outer = nn.Linear(hidden, 2 * n_channels)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, v: Hidden, params: Parameters) -> Hidden:
        features = self.outer(F.gelu(self.inner(self.embedding(params.scalars))))
        gamma, beta = broadcast_scalars(features, (1,) * (v.ndim - 2)).chunk(2, dim=1)
        return v * (1 + gamma) + beta


def require_scalars(conditioning: Conditioning, problem: Problem) -> None:
    """ValueError where there is nothing to condition on."""
    if not problem.scalars:
        raise ValueError(
            f"{type(conditioning).__name__} conditions on numbers, but the parameters of {problem.equation or 'this'} "
            "problem are fields alone; take Concatenation or Unconditioned"
        )
