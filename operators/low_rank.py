"""The low-rank neural operator: integrals against kernels that are sums of a few products."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.fields import Parameters, Problem, State
from duhamel.operators.base import Operator
from duhamel.operators.conditioning import Concatenation, Conditioner, Conditioning, Hidden
from duhamel.operators.pointwise import Pointwise, PointwiseMLP
from duhamel.operators.position import n_position_features, position_features, quadrature

Position = Float[Tensor, "batch feature *space"]


class LowRankBlock(nn.Module):
    """v + gelu(m(W v + b + sum_j phi_j(x) int psi_j(y) . v(y) dy)), j <= rank; phi, psi networks of x and v(x)."""

    def __init__(self, width: int, *, rank: int, n_position: int, conditioner: Conditioner) -> None:
        super().__init__()
        self.rank = rank
        self.phi = PointwiseMLP(width + n_position, 2 * width, width * rank)
        self.psi = PointwiseMLP(width + n_position, 2 * width, width * rank)
        self.skip = Pointwise(width, width)
        self.modulation = conditioner.modulation(width)

    def forward(self, v: Hidden, params: Parameters, position: Position, weights: Float[Tensor, "*space"]) -> Hidden:
        located = torch.cat([v, position], dim=1)
        phi, psi = (f(located).flatten(2).unflatten(1, (self.rank, -1)) for f in (self.phi, self.psi))
        weighted = (v * weights.to(v.dtype)).flatten(2).to(psi.dtype)
        coefficients = torch.einsum("brcn,bcn->br", psi, weighted)
        integral = torch.einsum("br,brcn->bcn", coefficients, phi).reshape(v.shape)
        return v + F.gelu(self.modulation(self.skip(v) + integral, params))


class LowRankNO(Operator):
    """Every block integrates against kappa(x, y) = sum_j phi_j(x) psi_j(y)^T: O(N rank) work for N points.

    Integrals are quadratures over the domain, and positions input functions (`position_features`), so that the operator
    converges under refinement.

    width, n_layers: of the blocks. rank: of each kernel. n_frequencies: of the positions, per axis.
    Source: Kovachki et al. (2023), Neural Operator, JMLR 24:89, with phi and psi networks of x and v(x);
        blocks add to v.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        width: int = 32,
        n_layers: int = 4,
        rank: int = 8,
        n_frequencies: int = 4,
        conditioning: Conditioning = Concatenation(),
    ) -> None:
        super().__init__(problem)
        if min(width, n_layers, rank, n_frequencies) < 1:
            raise ValueError(
                f"width {width}, n_layers {n_layers}, rank {rank} and n_frequencies {n_frequencies} must be positive"
            )
        self.trained_grid, self.n_frequencies = problem.grid, n_frequencies
        self.conditioning = conditioning.bind(problem)
        n_position = n_position_features(problem.grid, n_frequencies)
        self.lifting = PointwiseMLP(self.conditioning.n_inputs + n_position, 2 * width, width)
        self.blocks = nn.ModuleList(
            LowRankBlock(width, rank=rank, n_position=n_position, conditioner=self.conditioning)
            for _ in range(n_layers)
        )
        self.projection = PointwiseMLP(width, 2 * width, self.conditioning.n_outputs)

    def forward(self, u: State, params: Parameters) -> State:
        grid = self.grid_of(u)
        weights = quadrature(grid, like=u)
        features = position_features(grid, self.trained_grid, n_frequencies=self.n_frequencies, like=u)
        position = features.expand(u.shape[0], -1, *u.shape[2:])
        v = self.lifting(torch.cat([self.conditioning.encode(u, params), position], dim=1))
        for block in self.blocks:
            v = block(v, params, position, weights)
        return self.conditioning.decode(self.projection(v))
