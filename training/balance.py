"""One loss from several terms."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

Terms = dict[str, Float[Tensor, ""]]


class FixedWeights(nn.Module):
    """sum_i w_i L_i; a term without a weight has one of 1. The loss on data ("data") is absent during a warm-up."""

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.weights = dict(weights or {})

    def forward(self, terms: Terms, generator: torch.Generator) -> Float[Tensor, ""]:
        if unknown := set(self.weights) - {*terms, "data"}:
            raise ValueError(f"weights for {sorted(unknown)}, the losses are {sorted(terms)}")
        return torch.stack([self.weights.get(name, 1.0) * value for name, value in terms.items()]).sum()


class ReLoBRaLo(nn.Module):
    """Relative loss balancing with random lookback: terms that lag behind get more weight.

    lambda_i(t) = alpha (rho lambda_i(t-1) + (1 - rho) s_i(t; 0)) + (1 - alpha) s_i(t; t-1), rho a coin that is 1 with
    probability `lookback`, and s_i(t; t') = m exp(L_i(t) / (T L_i(t'))) / sum_j exp(L_j(t) / (T L_j(t'))) for m terms.
    Weights, first and last losses are buffers: a resumed run goes on with them.

    Source: Bischof and Kraus (2022), Multi-Objective Loss Balancing for Physics-Informed Deep Learning, eqs. (10)-(12).
    alpha: memory, 0.999. temperature: T, 0 the largest alone, infinite for equal weights.
    """

    first: Float[Tensor, " term"]
    last: Float[Tensor, " term"]
    weights: Float[Tensor, " term"]

    def __init__(
        self, n_terms: int, *, alpha: float = 0.999, temperature: float = 1.0, lookback: float = 0.999
    ) -> None:
        super().__init__()
        if n_terms < 1 or not 0 <= alpha <= 1 or not 0 <= lookback <= 1 or not temperature > 0:
            raise ValueError(
                f"n_terms {n_terms} and temperature {temperature} must be positive, alpha {alpha} and lookback "
                f"{lookback} lie in [0, 1]"
            )
        self.alpha, self.temperature, self.lookback = alpha, temperature, lookback
        # NaN: no step was taken yet.
        self.register_buffer("first", torch.full((n_terms,), math.nan))
        self.register_buffer("last", torch.full((n_terms,), math.nan))
        self.register_buffer("weights", torch.ones(n_terms))

    def forward(self, terms: Terms, generator: torch.Generator) -> Float[Tensor, ""]:
        if len(terms) != len(self.weights):
            raise ValueError(f"ReLoBRaLo was built for {len(self.weights)} terms, the losses are {sorted(terms)}")
        losses = torch.stack(list(terms.values()))
        with torch.no_grad():
            now = losses.detach().to(self.first)
            started = ~self.first.isnan()
            self.first.copy_(torch.where(started, self.first, now))
            previous = torch.where(started, self.last, now)
            looks_back = bool(torch.rand((), generator=generator) < self.lookback)  # drawn on the host
            kept = self.weights if looks_back else self._shares(now, self.first)
            self.weights.copy_(self.alpha * kept + (1 - self.alpha) * self._shares(now, previous))
            self.last.copy_(now)
        return (self.weights * losses).sum()

    def _shares(self, now: Float[Tensor, " term"], then: Float[Tensor, " term"]) -> Float[Tensor, " term"]:
        tiny = torch.finfo(now.dtype).tiny
        return len(now) * torch.softmax(now / (self.temperature * then).clamp_min(tiny), dim=0)
