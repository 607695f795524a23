"""Multipliers of the kept frequencies, dense or of low rank, as one real tensor (modes..., in, 2, out).

A complex number is a pair of real ones along an axis of length 2 everywhere: no parameter and no product is complex.
Multipliers are assembled in the precision of their factors, also under autocast; the product with the spectrum is not.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

Multiplier = Float[Tensor, "*mode channel_in 2 channel_out"]
Rank = int | float | tuple[int, ...]


class DenseWeight(nn.Module):
    """One free complex number for each frequency and pair of channels."""

    def __init__(self, in_channels: int, out_channels: int, kept: tuple[int, ...], rank: Rank) -> None:
        super().__init__()
        if rank != 1:
            raise ValueError(f"rank {rank} is for low-rank weights; a dense multiplier has rank 1")
        # Uniform of standard deviation 1 / sqrt(in + out); a normal one imports torch's compiler on the meta device.
        self.multiplier = nn.Parameter(
            _uniform((*kept, in_channels, 2, out_channels), 1 / (in_channels + out_channels))
        )

    def forward(self) -> Multiplier:
        return self.multiplier


class TuckerWeight(nn.Module):
    """R[k, i, o] = sum core[a, b, c...] U_in[i, a] U_out[o, b] U_1[k_1, c] ...: Kossaifi et al. (2024), eq. (6).

    rank: share of the parameters of a dense multiplier, as tensorly chooses the ranks for it; or the ranks themselves,
        one an axis of (in, out, modes...).
    """

    def __init__(self, in_channels: int, out_channels: int, kept: tuple[int, ...], rank: Rank) -> None:
        super().__init__()
        from tensorly.tucker_tensor import validate_tucker_rank  # imports slowly, and dense weights do without

        sizes = (in_channels, out_channels, *kept)
        ranks = tuple(validate_tucker_rank(sizes, rank=rank))
        share = _variance(in_channels + out_channels, terms=math.prod(ranks), n_factors=len(sizes) + 1)
        self.core = nn.Parameter(_uniform((*ranks, 2), share))
        self.factors = nn.ParameterList(_uniform((size, r, 2), share) for size, r in zip(sizes, ranks, strict=True))

    def forward(self) -> Multiplier:
        with _not_lowered(self.core):
            return self._assemble()

    def _assemble(self) -> Multiplier:
        re, im = self.core.unbind(-1)
        # Each product contracts the first axis and appends the new one: after all axes the order is the old one.
        for factor in self.factors:
            f_re, f_im = factor.unbind(-1)
            re, im = (
                torch.tensordot(re, f_re, ([0], [1])) - torch.tensordot(im, f_im, ([0], [1])),
                torch.tensordot(re, f_im, ([0], [1])) + torch.tensordot(im, f_re, ([0], [1])),
            )
        return _assembled(re, im)


class CPWeight(nn.Module):
    """R[k, i, o] = sum_r lambda_r U_in[i, r] U_out[o, r] U_1[k_1, r] ... (canonical polyadic): Kossaifi et al. (2024).

    rank: share (a float) of the parameters of a dense multiplier, as tensorly chooses the number of terms for it; or
        that number (an int).
    """

    def __init__(self, in_channels: int, out_channels: int, kept: tuple[int, ...], rank: Rank) -> None:
        super().__init__()
        from tensorly.cp_tensor import validate_cp_rank

        sizes = (in_channels, out_channels, *kept)
        terms = int(validate_cp_rank(sizes, rank=rank))
        share = _variance(in_channels + out_channels, terms=terms, n_factors=len(sizes))
        self.weights = nn.Parameter(torch.stack([torch.ones(terms), torch.zeros(terms)], dim=1))
        self.factors = nn.ParameterList(_uniform((size, terms, 2), share) for size in sizes)

    def forward(self) -> Multiplier:
        with _not_lowered(self.weights):
            return self._assemble()

    def _assemble(self) -> Multiplier:
        f_in, f_out, *f_modes = self.factors
        l_re, l_im = _khatri_rao(_khatri_rao(self.weights[None].unbind(-1), f_in.unbind(-1)), f_out.unbind(-1))
        modes = f_modes[0].unbind(-1)
        for factor in f_modes[1:]:
            modes = _khatri_rao(modes, factor.unbind(-1))
        m_re, m_im = modes
        sizes = (len(f_in), len(f_out), *(len(f) for f in f_modes))
        return _assembled(
            (l_re @ m_re.T - l_im @ m_im.T).reshape(sizes), (l_re @ m_im.T + l_im @ m_re.T).reshape(sizes)
        )


WEIGHTS: dict[str, Callable[[int, int, tuple[int, ...], Rank], nn.Module]] = {
    "dense": DenseWeight,
    "tucker": TuckerWeight,
    "cp": CPWeight,
}


def _variance(channels: int, *, terms: int, n_factors: int) -> float:
    """Of real and imaginary parts of factors, such that sums of their products vary like a dense multiplier."""
    return (2 / (channels * terms)) ** (1 / n_factors) / 2


def _not_lowered(like: Tensor) -> AbstractContextManager[object]:
    """Without autocast, where there is one: exported graphs hold no context that they do not need."""
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def _uniform(shape: tuple[int, ...], variance: float) -> Tensor:
    bound = math.sqrt(3 * variance)
    return torch.empty(shape).uniform_(-bound, bound)


def _khatri_rao(a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Products of all pairs of rows, term by term, of complex (re, im) matrices."""
    (a_re, a_im), (b_re, b_im) = ((part[:, None] for part in a), (part[None] for part in b))
    return (a_re * b_re - a_im * b_im).flatten(0, 1), (a_re * b_im + a_im * b_re).flatten(0, 1)


def _assembled(re: Tensor, im: Tensor) -> Multiplier:
    """(in, out, modes...) pairs as (modes..., in, 2, out)."""
    n_modes = re.ndim - 2
    return torch.stack([re, im], dim=1).permute(*range(3, 3 + n_modes), 0, 1, 2)
