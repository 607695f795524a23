"""A transformer over the points of a grid, its attention an integral."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.fields import Parameters, Problem, State
from duhamel.operators.base import Operator
from duhamel.operators.conditioning import Concatenation, Conditioner, Conditioning, Hidden
from duhamel.operators.pointwise import Pointwise, PointwiseMLP
from duhamel.operators.position import n_position_features, position_features, quadrature
from duhamel.operators.stencil import ChannelNorm


class Attention(nn.Module):
    """O int exp(q(x) . k(y)) v(y) dy / int exp(q(x) . k(y)) dy, with the same quadrature weights above and below.

    Source: Berner et al. (2025), Principled Approaches for Extending Neural Architectures to Function Spaces, on
    self-attention; on equal weights it is the usual one.
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        if width % n_heads:
            raise ValueError(f"width {width} is not divisible by {n_heads} heads")
        self.n_heads = n_heads
        # Without a bias: that of the keys would multiply both integrals by the same.
        self.inner = nn.Parameter(torch.empty(3 * width, width).uniform_(-(width**-0.5), width**-0.5))
        self.outer = Pointwise(width, width)

    def forward(self, v: Hidden, weights: Float[Tensor, "*space"]) -> Hidden:
        heads = torch.matmul(self.inner, v.flatten(2)).unflatten(1, (3, self.n_heads, -1)).transpose(3, 4)
        q, k, value = heads.unbind(1)
        attended = F.scaled_dot_product_attention(q, k, value, attn_mask=weights.reshape(1, -1).log().to(q.dtype))
        return self.outer(attended.transpose(2, 3).reshape(v.shape))


class Block(nn.Module):
    """v + A N v, then v + M m(N v): attention, then a pointwise network, its norm adaptive by the conditioning's m."""

    def __init__(self, width: int, *, n_heads: int, expansion: float, conditioner: Conditioner) -> None:
        super().__init__()
        self.norms = nn.ModuleList(ChannelNorm(width) for _ in range(2))
        self.attention = Attention(width, n_heads)
        self.modulation = conditioner.modulation(width)
        self.mlp = PointwiseMLP(width, round(expansion * width), width)

    def forward(self, v: Hidden, params: Parameters, weights: Float[Tensor, "*space"]) -> Hidden:
        v = v + self.attention(self.norms[0](v), weights)
        return v + self.mlp(self.modulation(self.norms[1](v), params))


class Transformer(Operator):
    """Every point attends to every other: n^2 work for n points, so for lines and small planes.

    Positions enter as input functions (`position_features`). The attention is an integral over the domain, so that the
    operator converges under refinement.

    width, n_layers, n_heads, expansion: of the blocks. n_frequencies: of the positions, per axis.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        width: int = 64,
        n_layers: int = 4,
        n_heads: int = 4,
        expansion: float = 2.0,
        n_frequencies: int = 4,
        conditioning: Conditioning = Concatenation(),
    ) -> None:
        super().__init__(problem)
        if min(width, n_layers, n_heads, n_frequencies) < 1:
            raise ValueError(
                f"width {width}, n_layers {n_layers}, n_heads {n_heads} and n_frequencies {n_frequencies} must be "
                "positive"
            )
        self.trained_grid, self.n_frequencies = problem.grid, n_frequencies
        self.conditioning = conditioning.bind(problem)
        n_in = self.conditioning.n_inputs + n_position_features(problem.grid, n_frequencies)
        self.lifting = PointwiseMLP(n_in, 2 * width, width)
        self.blocks = nn.ModuleList(
            Block(width, n_heads=n_heads, expansion=expansion, conditioner=self.conditioning) for _ in range(n_layers)
        )
        self.norm = ChannelNorm(width)
        self.projection = PointwiseMLP(width, 2 * width, self.conditioning.n_outputs)

    def forward(self, u: State, params: Parameters) -> State:
        grid = self.grid_of(u)
        weights = quadrature(grid, like=u)
        position = position_features(grid, self.trained_grid, n_frequencies=self.n_frequencies, like=u)
        inputs = self.conditioning.encode(u, params)
        v = self.lifting(torch.cat([inputs, position.expand(u.shape[0], -1, *u.shape[2:])], dim=1))
        for block in self.blocks:
            v = block(v, params, weights)
        return self.conditioning.decode(self.projection(self.norm(v)))
