"""DeepONet: a function's coefficients in learned functions, from its inner products with others."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.fields import Parameters, Problem, State
from duhamel.operators.base import Operator
from duhamel.operators.conditioning import Concatenation, Conditioning
from duhamel.operators.position import n_position_features, position_features, quadrature


class Layers(nn.Module):
    """A network of `depth` hidden layers of one width, gelu between."""

    def __init__(self, n_in: int, width: int, n_out: int, *, depth: int) -> None:
        super().__init__()
        widths = [n_in, *(width for _ in range(depth)), n_out]
        self.linear = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))

    def forward(self, v: Float[Tensor, "row feature_in"]) -> Float[Tensor, "row feature_out"]:
        for linear in self.linear[:-1]:
            v = F.gelu(linear(v))
        return self.linear[-1](v)


class DeepONet(Operator):
    """G(u)(x) = sum_k b_k(<u, e_1>, ..., <u, e_n>) t_k(x) + c, one branch b for all channels, one trunk t for each.

    Lu et al. (2021), Learning nonlinear operators via DeepONet, eq. (2); in place of values at fixed sensors the branch
    takes integrals of the inputs against learned functions e_i, so that any grid will do (Berner et al., 2025).

    width, depth: of branch and trunk. n_sensors: functions e_i. n_basis: functions t_k of each channel.
    n_frequencies: of the positions that e and t are networks of, per axis.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        width: int = 128,
        depth: int = 2,
        n_sensors: int = 64,
        n_basis: int = 64,
        n_frequencies: int = 8,
        conditioning: Conditioning = Concatenation(),
    ) -> None:
        super().__init__(problem)
        if min(width, depth, n_sensors, n_basis, n_frequencies) < 1:
            raise ValueError(
                f"width {width}, depth {depth}, n_sensors {n_sensors}, n_basis {n_basis} and n_frequencies "
                f"{n_frequencies} must be positive"
            )
        self.trained_grid, self.n_frequencies, self.n_basis = problem.grid, n_frequencies, n_basis
        self.conditioning = conditioning.bind(problem)
        n_position, n_out = n_position_features(problem.grid, n_frequencies), self.conditioning.n_outputs
        self.sensors = Layers(n_position, width, n_sensors, depth=1)
        self.inner = nn.Linear(self.conditioning.n_inputs * n_sensors, width)
        self.modulation = self.conditioning.modulation(width)
        self.branch = Layers(width, width, n_out * n_basis, depth=depth - 1)
        self.trunk = Layers(n_position, width, n_out * n_basis, depth=depth)
        self.constant = nn.Parameter(torch.zeros(n_out))

    def forward(self, u: State, params: Parameters) -> State:
        grid = self.grid_of(u)
        position = position_features(grid, self.trained_grid, n_frequencies=self.n_frequencies, like=u).flatten(1).T
        weighted = self.conditioning.encode(u, params).flatten(2) * quadrature(grid, like=u).flatten()
        sensed = torch.matmul(weighted, self.sensors(position)).flatten(1)
        hidden = F.gelu(self.modulation(self.inner(sensed)[..., None], params).squeeze(-1))
        coefficients = self.branch(hidden).unflatten(1, (-1, self.n_basis))
        functions = self.trunk(position).T.unflatten(0, (-1, self.n_basis))
        v = torch.einsum("bck,ckn->bcn", coefficients, functions) + self.constant[:, None].to(coefficients.dtype)
        return self.conditioning.decode(v.unflatten(2, tuple(u.shape[2:])))
