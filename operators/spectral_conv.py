"""The Fourier layer's integral operator: a learned multiplier on the lowest frequencies."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from duhamel.operators import fft, fourier
from duhamel.operators.spectral_weights import WEIGHTS, Rank
from duhamel.operators.tracing import exporting

In = Float[Tensor, "batch channel_in *space"]
Out = Float[Tensor, "batch channel_out *point"]
SpectrumIn = Float[Tensor, "mode 2 batch channel_in"]
SpectrumOut = Float[Tensor, "mode 2 batch channel_out"]


# Operations in products that take the time of one of N log2 N steps of fast transforms. Measured on one core with
# AVX-512 in float32: the two meet between 20 (2-D, 3-D) and 35 (1-D); `benchmark/spectral_engine.py` prints both.
PRODUCTS_PER_FFT_STEP = 25


class SpectralConv(nn.Module):
    """v = F^-1 (R_k F u)_{k kept} + b: Li et al. (2021), Fourier Neural Operator, eq. (4), in any dimension.

    n_modes: total kept frequencies per axis, as neuraloperator counts them: -m/2 <= k < m/2 along each axis but the
        last, where conjugate symmetry leaves 0 <= k <= m/2.
    precision: dtype of the transforms and of the mixing, whatever autocast says; None follows the input.
    bias: one constant a channel, added to the coefficient of k = 0.
    weight, rank: "dense", "tucker" or "cp", and the share of a dense multiplier's parameters that a low-rank one keeps.

    The multiplier is stored real, (modes..., in, 2, out): every product is a real GEMM, so the layer runs in bfloat16,
    on any grid size, under fused optimisers and in safetensors. Coefficients are those of the function, not of the
    grid: the layer commutes with resampling of band-limited inputs.
    Raises ValueError where the grid cannot carry the modes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        n_modes: tuple[int, ...],
        precision: torch.dtype | None = None,
        bias: bool = False,
        weight: str = "dense",
        rank: Rank = 1.0,
    ) -> None:
        super().__init__()
        if not n_modes or min(n_modes) < 1:
            raise ValueError(f"n_modes must be positive on every axis, got {n_modes}")
        if weight not in WEIGHTS:
            raise ValueError(f"weight {weight!r} is none of {sorted(WEIGHTS)}")
        self.n_modes = tuple(n_modes)
        self.precision = precision
        self.kept = (*self.n_modes[:-1], self.n_modes[-1] // 2 + 1)
        self.weight = WEIGHTS[weight](in_channels, out_channels, self.kept, rank)
        bound = math.sqrt(3 / (in_channels + out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound)) if bias else None

    def extra_repr(self) -> str:
        return f"n_modes={self.n_modes}"

    def forward(self, u: In, shape: tuple[int, ...] | None = None) -> Out:
        """The convolution of u, sampled on a grid of `shape` points where that is not the grid of u."""
        points = tuple(u.shape[2:]) if shape is None else tuple(shape)
        self._check(tuple(u.shape[2:]))
        self._check(points)
        if self.precision is None:
            return self._convolve(u, points)
        with torch.autocast(u.device.type, enabled=False):
            return self._convolve(u.to(self.precision), points)

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != len(self.n_modes):
            raise ValueError(f"a {len(shape)}-dimensional state of shape {shape} for n_modes {self.n_modes}")
        for n, m in zip(shape, self.n_modes, strict=True):
            if m > n:
                raise ValueError(f"n_modes {self.n_modes} asks for {m} modes of an axis with {n} points ({shape})")

    def _convolve(self, u: In, points: tuple[int, ...]) -> Out:
        transform = fft if self._prefers_fft(u, points) else fourier
        return transform.synthesise(self._mix(transform.analyse(u, self.n_modes)), self.n_modes, points)

    def _prefers_fft(self, u: In, points: tuple[int, ...]) -> bool:
        """Whether fast transforms are cheaper than products: a matter of shapes alone, so that a run repeats itself.

        There is none below single precision, whatever autocast would make of it, and exported graphs hold products.
        """
        lowered = self.precision is None and torch.is_autocast_enabled(u.device.type)
        if lowered or u.dtype not in (torch.float32, torch.float64) or exporting():
            return False
        larger = tuple(map(max, u.shape[2:], points))
        fast = math.prod(larger) * math.log2(math.prod(larger))
        return fourier.operations(self.n_modes, larger) > PRODUCTS_PER_FFT_STEP * fast

    def _mix(self, spectrum: SpectrumIn) -> SpectrumOut:
        """R_k u_hat(k): one batched product over modes, real and imaginary parts stacked along the batch."""
        n_modes, _, batch, n_in = spectrum.shape
        weight = self.weight().to(spectrum.dtype).reshape(n_modes, n_in, -1)
        product = torch.bmm(spectrum.reshape(n_modes, 2 * batch, n_in), weight)
        rows = product.unflatten(1, (2, batch)).unflatten(3, (2, -1))
        (rr, ri), (ir, ii) = (part.unbind(2) for part in rows.unbind(1))
        re = rr - ii
        if self.bias is not None:
            re[fourier.constant_mode(self.n_modes)] += self.bias.to(re.dtype)
        return torch.stack([re, ri + ir], dim=1)
