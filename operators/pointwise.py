"""Maps that act on the channels of each point alone, in any number of dimensions."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.operators.tracing import exporting

In = Float[Tensor, "batch channel_in *space"]
Out = Float[Tensor, "batch channel_out *space"]


# Of a product on a GPU: points that its sums should have left, columns that it should not exceed (on an H200, between
# 1024 and 65,536 points and 24 and 128 channels, about the best in float32, TF32 and bfloat16 alike).
POINTS, COLUMNS = 2048, 256


class Pointwise(nn.Module):
    """v(x) = W u(x) + b, one matrix product over all points (a 1x1 convolution in any dimension)."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_channels)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound)) if bias else None

    def forward(self, u: In) -> Out:
        # One product a sample, without the copies that matmul makes to fold the batch: 1.4 to 3 times faster.
        batch, space = u.shape[0], u.shape[2:]
        weight, rows, parts = _split(self.weight, u)
        if self.bias is None:
            return torch.bmm(weight, rows).reshape(batch, -1, *space)
        if torch.compiler.is_compiling():  # which joins the sum to the activation that follows
            product = torch.bmm(weight, rows).reshape(batch, -1, *space)
            return product + self.bias.to(product.dtype)[(...,) + (None,) * len(space)]
        bias = self.bias.repeat_interleave(parts)[None, :, None]
        return torch.baddbmm(bias.expand(batch, -1, -1), weight, rows).reshape(batch, -1, *space)

    def add_to(self, v: Out, u: In) -> Out:
        """v(x) + W u(x), without the bias."""
        weight, rows, _ = _split(self.weight.to(v.dtype), u.to(v.dtype))
        if torch.compiler.is_compiling():
            return v + torch.bmm(weight, rows).reshape(v.shape)
        return torch.baddbmm(v.reshape(len(v), weight.shape[1], -1), weight, rows).reshape(v.shape)


def _split(weight: Float[Tensor, "channel_out channel_in"], u: In) -> tuple[Tensor, Tensor, int]:
    """W of each sample, the points of each channel in rows, and in how many of them.

    On a GPU the gradient of W is a product with as few columns as there are channels and a sum over all points: most of
    the chip idles. With the points of a channel in p rows, and the Kronecker product of W and I_p for W, it is one of p
    times as many rows and columns: more operations than are needed, in a fraction of the time.
    """
    parts = _parts(max(weight.shape), u)
    if parts > 1:
        weight = torch.kron(weight, torch.eye(parts, dtype=weight.dtype, device=weight.device))
    return weight.expand(u.shape[0], -1, -1), u.reshape(u.shape[0], weight.shape[1], -1), parts


def _parts(channels: int, u: In) -> int:
    """Into how many rows the points of a channel go. Where matrix units compute, that saves less than the calls cost
    which it takes: then compiled graphs alone do it."""
    parts, n = 1, math.prod(u.shape[2:])
    if u.device.type != "cuda" or exporting():
        return parts
    if torch.compiler.is_compiling() or not _by_matrix_units(u):
        while n % (2 * parts) == 0 and n >= 2 * parts * POINTS and 2 * parts * channels <= COLUMNS:
            parts *= 2
    return parts


def _by_matrix_units(u: In) -> bool:
    """Whether a GPU computes a product with u in TF32, bfloat16 or float16."""
    lowered = torch.is_autocast_enabled("cuda") or u.dtype not in (torch.float32, torch.float64)
    return lowered or (u.dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest")


class PointwiseMLP(nn.Module):
    """W2 gelu(W1 u + b1) + b2 at each point."""

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        super().__init__()
        self.inner = Pointwise(in_channels, hidden_channels)
        self.outer = Pointwise(hidden_channels, out_channels)

    def forward(self, u: In) -> Out:
        return self.outer(F.gelu(self.inner(u)))


class GatedMLP(nn.Module):
    """W2 gelu(W1 v + b1) + b2 + g u at each point: a pointwise network with a gated connection from another state."""

    def __init__(self, channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.inner = Pointwise(channels, hidden_channels)
        self.outer = Pointwise(hidden_channels, channels, bias=False)
        bound = 1 / math.sqrt(hidden_channels)
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))
        self.gate = nn.Parameter(torch.ones(channels))

    def forward(self, v: In, u: In) -> In:
        bias, gate = (p.to(u.dtype)[(...,) + (None,) * (u.ndim - 2)] for p in (self.bias, self.gate))
        return self.outer.add_to((gate * u).add_(bias), F.gelu(self.inner(v)))


def broadcast_scalars(
    scalars: Float[Tensor, "batch param"], shape: tuple[int, ...]
) -> Float[Tensor, "batch param *space"]:
    """Each number as a constant field."""
    return scalars[(...,) + (None,) * len(shape)].expand(-1, -1, *shape)
