"""The Fourier layer's integral operator: a learned multiplier on the lowest frequencies."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from duhamel.operators import fourier

In = Float[Tensor, "batch channel_in *space"]
Out = Float[Tensor, "batch channel_out *space"]
SpectrumIn = Float[Tensor, "batch channel_in *mode"]
SpectrumOut = Float[Tensor, "batch channel_out *mode"]


class SpectralConv(nn.Module):
    """v = F^-1 (R_k F u)_{k kept}: Li et al. (2021), Fourier Neural Operator, eq. (4), in any dimension.

    n_modes: total kept frequencies per axis, as neuraloperator counts them: -m/2 <= k < m/2 along each axis but the
        last, where conjugate symmetry leaves 0 <= k <= m/2.
    precision: dtype of the transforms and of the mixing, whatever autocast says; None follows the input.

    The multiplier is stored real, (modes..., in, 2, out): every product is a real GEMM, so the layer runs in bfloat16,
    on any grid size, under fused optimisers and in safetensors. Coefficients are those of the function, not of the
    grid: the layer commutes with resampling of band-limited inputs.
    Raises ValueError where the grid cannot carry the modes.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, n_modes: tuple[int, ...], precision: torch.dtype | None = None
    ) -> None:
        super().__init__()
        if not n_modes or min(n_modes) < 1:
            raise ValueError(f"n_modes must be positive on every axis, got {n_modes}")
        self.n_modes = tuple(n_modes)
        self.precision = precision
        kept = (*self.n_modes[:-1], self.n_modes[-1] // 2 + 1)
        # Uniform of standard deviation 1 / sqrt(in + out); a normal one imports torch's compiler on the meta device.
        bound = math.sqrt(3 / (in_channels + out_channels))
        self.weight = nn.Parameter(torch.empty(*kept, in_channels, 2, out_channels).uniform_(-bound, bound))

    def extra_repr(self) -> str:
        return f"{self.weight.shape[-3]}, {self.weight.shape[-1]}, n_modes={self.n_modes}"

    def forward(self, u: In) -> Out:
        self._check(tuple(u.shape[2:]))
        if self.precision is None:
            return self._convolve(u)
        with torch.autocast(u.device.type, enabled=False):
            return self._convolve(u.to(self.precision))

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != len(self.n_modes):
            raise ValueError(f"a {len(shape)}-dimensional state of shape {shape} for n_modes {self.n_modes}")
        for n, m in zip(shape, self.n_modes, strict=True):
            if m > n:
                raise ValueError(f"n_modes {self.n_modes} asks for {m} modes of an axis with {n} points ({shape})")

    def _convolve(self, u: In) -> Out:
        re, im = self._analyse(u)
        return self._synthesise(*self._mix(re, im), tuple(u.shape[2:]))

    def _analyse(self, u: In) -> tuple[SpectrumIn, SpectrumIn]:
        """Kept coefficients of u, axis by axis from the last."""
        *before, n_last = u.shape[2:]
        lead, half = u.shape[:2], self.n_modes[-1] // 2 + 1
        table = fourier.real_analysis(n_last, self.n_modes[-1], u.dtype, u.device)
        re, im = torch.matmul(u, table).unflatten(-1, (2, half)).unbind(-2)
        done: tuple[int, ...] = (half,)
        for axis in reversed(range(len(before))):
            n, m = before[axis], self.n_modes[axis]
            stacked = fourier.complex_analysis(n, m, u.dtype, u.device)
            rows = (math.prod((*lead, *before[:axis])), n, math.prod(done))
            re, im = fourier.apply_complex(stacked, re.reshape(rows), im.reshape(rows))
            done = (m, *done)
        return re.reshape(*lead, *done), im.reshape(*lead, *done)

    def _mix(self, re: SpectrumIn, im: SpectrumIn) -> tuple[SpectrumOut, SpectrumOut]:
        """R_k u_hat(k): one batched product over modes, real and imaginary parts stacked along the batch."""
        batch, modes = re.shape[0], re.shape[2:]
        n_in, _, n_out = self.weight.shape[-3:]
        stacked = torch.cat([re, im]).flatten(2).permute(2, 0, 1)
        weight = self.weight.to(re.dtype).reshape(-1, n_in, 2 * n_out)
        product = torch.bmm(stacked, weight).reshape(-1, 2, batch, 2, n_out)
        (rr, ri), (ir, ii) = (part.unbind(2) for part in product.unbind(1))
        out_re, out_im = (rr - ii).permute(1, 2, 0), (ri + ir).permute(1, 2, 0)
        return out_re.reshape(batch, n_out, *modes), out_im.reshape(batch, n_out, *modes)

    def _synthesise(self, re: SpectrumOut, im: SpectrumOut, shape: tuple[int, ...]) -> Out:
        """The real function with these coefficients on a grid of `shape`, axis by axis from the first."""
        lead, kept = re.shape[:2], re.shape[2:]
        done: tuple[int, ...] = ()
        for axis in range(len(shape) - 1):
            stacked = fourier.complex_synthesis(shape[axis], self.n_modes[axis], re.dtype, re.device)
            rows = (math.prod((*lead, *done)), kept[axis], math.prod(kept[axis + 1 :]))
            re, im = fourier.apply_complex(stacked, re.reshape(rows), im.reshape(rows))
            done = (*done, shape[axis])
        table = fourier.real_synthesis(shape[-1], self.n_modes[-1], re.dtype, re.device)
        spectrum = torch.cat([re.reshape(-1, kept[-1]), im.reshape(-1, kept[-1])], dim=1)
        return torch.matmul(spectrum, table).reshape(*lead, *shape)
