"""The spectral neural operator: a network between the coefficients of its input and those of its output."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from duhamel.fields import Boundary, Centring, Grid, Parameters, Problem, State
from duhamel.operators.base import Operator


class SNO(Operator):
    """Truncated expansions in, a perceptron, a truncated expansion out: Fanaskov and Oseledets (2022), section 3.

    Coefficient fields enter by cosines (waves on periodic axes), states and the output by the functions that suit their
    boundary: sines where dirichlet, cosines where neumann. Products of one function an axis, so that any resolution
    serves, and a solve costs a few small matrix products: made for samplers. The output is c + exp(g) times its
    expansion, c a constant and g a function of the inputs, for solutions whose size spans decades.

    n_modes: functions an axis of coefficient fields; n_modes_out: of states and the output (a wave is two functions).
    width, n_layers: of the hidden layers, with skip connections between them.
    """

    def __init__(
        self, problem: Problem, *, n_modes: int = 8, n_modes_out: int = 16, width: int = 256, n_layers: int = 4
    ) -> None:
        super().__init__(problem)
        for boundary in problem.grid.boundary:
            if boundary is not Boundary.PERIODIC and problem.grid.centring is not Centring.CELL:
                raise ValueError(f"axes that are not periodic must be cell-centred, got {boundary!s} at nodes")
        dim = problem.grid.ndim
        self.trained_grid = problem.grid
        self.n_modes = n_modes
        self.n_modes_out = n_modes_out
        n_channels, n_fields = len(problem.channels), len(problem.coefficients)
        n_in = n_fields * n_modes**dim + len(problem.scalars)
        # A stationary problem's state is a guess, which says nothing.
        n_in += 0 if problem.steady else n_channels * n_modes_out**dim
        self.first = nn.Linear(n_in, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers - 1))
        self.last = nn.Linear(width, n_channels * n_modes_out**dim)
        self.gain = nn.Linear(width + n_in, n_channels)
        self.constant = nn.Parameter(torch.zeros(n_channels))
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)

    def forward(self, u: State, params: Parameters) -> State:
        grid = self.grid_of(u)
        domain = self.trained_grid
        fields = [functions(grid, i, self.n_modes, Boundary.NEUMANN, domain=domain).to(u) for i in range(grid.ndim)]
        states = [functions(grid, i, self.n_modes_out, b, domain=domain).to(u) for i, b in enumerate(grid.boundary)]
        # A mean over the samples of each axis: the same coefficients at every resolution.
        inputs = [params.scalars, _contract(params.fields, [b / b.shape[1] for b in fields]).flatten(1)]
        if not self.problem.steady:
            inputs.append(_contract(u, [b / b.shape[1] for b in states]).flatten(1))
        given = torch.cat(inputs, dim=1)
        v = nn.functional.gelu(self.first(given))
        for layer in self.hidden:
            v = v + nn.functional.gelu(layer(v))
        shape = (*u.shape[:2], *(1,) * grid.ndim)
        gain = self.gain(torch.cat([v, given], dim=1)).exp().reshape(shape)
        coefficients = self.last(v).reshape(*u.shape[:2], *(self.n_modes_out,) * grid.ndim)
        constant = self.constant.reshape(1, *shape[1:])
        return constant + gain * _contract(coefficients, [b.T for b in states])


def functions(
    grid: Grid, axis: int, n_modes: int, boundary: Boundary, *, domain: Grid | None = None
) -> Float[Tensor, "mode n"]:
    """The first functions of one axis, of mean square one, at its samples; periodic axes have waves whatever is asked.

    domain: a grid whose ends are those of the functions, where that of the samples has others (`Grid.strided`).
    Raises ValueError where the samples cannot tell that many functions apart.
    """
    domain = domain or grid
    n = grid.shape[axis]
    if n_modes > n:
        raise ValueError(f"{n_modes} functions of axis {axis}, which has {n} points")
    x = (grid.coordinates()[axis] - domain.origin[axis]) / domain.extent[axis]
    j = torch.arange(n_modes, dtype=torch.float64)[:, None]
    if grid.boundary[axis] is Boundary.PERIODIC:
        k = torch.div(j + 1, 2, rounding_mode="floor")
        table = math.sqrt(2) * torch.where(j % 2 == 0, torch.cos(2 * math.pi * k * x), torch.sin(2 * math.pi * k * x))
    elif boundary is Boundary.DIRICHLET:
        return math.sqrt(2) * torch.sin(math.pi * (j + 1) * x)
    else:
        table = math.sqrt(2) * torch.cos(math.pi * j * x)
    table[0] = 1.0
    return table


def _contract(u: Tensor, bases: list[Tensor]) -> Tensor:
    for basis in bases:
        # Contracting the first space axis appends its modes: after all axes the order is right.
        u = torch.tensordot(u, basis.to(u), dims=([2], [1]))
    return u
