"""The graph kernel operator on a grid: integrals over balls against a kernel that sees the data at both of its ends."""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional as F

from duhamel.fields import Grid, Parameters, Problem, State
from duhamel.operators.base import Operator
from duhamel.operators.conditioning import Concatenation, Conditioning, Hidden, Inputs
from duhamel.operators.pointwise import Pointwise, PointwiseMLP
from duhamel.operators.stencil import ends_of, pad
from duhamel.operators.tracing import require_known_grid


class BallIntegral(nn.Module):
    """(K v)(x) = mean over |y - x| < r of kappa(y - x, a(x), a(y)) v(y), kappa a width x width matrix from a network.

    kappa = W2 gelu(A (y - x) / r + B a(x) + C a(y) + b) + b2, a the inputs of the operator. The mean weighs every point
    of the ball by its overlap, a cone 1 - |y - x| / r: a sharp edge would let points in and out as the grid is refined.
    Beyond the ends of an axis a and v are wrapped, mirrored or zero, as the boundary asks.
    """

    def __init__(self, n_inputs: int, width: int, hidden: int, *, dim: int, radius: float) -> None:
        super().__init__()
        self.radius = radius
        self.displacement = nn.Linear(dim, hidden, bias=False)
        self.here = Pointwise(n_inputs, hidden)
        self.there = Pointwise(n_inputs, hidden, bias=False)
        self.outer = nn.Linear(hidden, width * width)

    def forward(self, v: Hidden, a: Inputs, grid: Grid) -> Hidden:
        require_known_grid("an integral over a ball of points")
        half = [math.ceil(self.radius / h) - 1 for h in grid.spacing]
        widest = max(half)
        # A network of sums of contributions: those of either end are computed once a point, not once a pair.
        here = self.here(a)
        there, moved = (pad(w, widest, ends_of(grid)) for w in (self.there(a), v))
        # Zeros beyond the ends are no neighbours of weight zero: the mean is over the whole ball.
        total, mass = torch.zeros_like(v), 0.0
        for offset in itertools.product(*(range(-n, n + 1) for n in half)):
            vector = [k * h / self.radius for k, h in zip(offset, grid.spacing, strict=True)]
            weight = 1 - math.hypot(*vector)
            if weight <= 0:
                continue
            window = [(widest + k, n) for k, n in zip(offset, v.shape[2:], strict=True)]
            near, value = there, moved
            for axis, (start, n) in enumerate(window, start=2):
                near, value = near.narrow(axis, start, n), value.narrow(axis, start, n)
            shift = self.displacement(torch.tensor(vector, dtype=v.dtype, device=v.device))
            features = F.gelu(here + near + shift.reshape(-1, *(1,) * grid.ndim))
            kernel = self.outer(features.flatten(2).mT).unflatten(2, (v.shape[1], v.shape[1]))
            total = total + weight * torch.einsum("bnoi,bin->bon", kernel, value.flatten(2).to(kernel.dtype)).reshape(
                v.shape
            )
            mass += weight
        return total / mass


class GraphKernelNO(Operator):
    """v <- gelu(W v + K v + b), n_layers times with the same W and K: graph kernel networks, on grids.

    The kernel sees the displacement and the inputs (state, fields, parameters) at both points, so that K depends on the
    data and the operator commutes with shifts on periodic grids. Work grows with the points in a ball: for lines and
    small planes. The paper's nodes lie anywhere and see coordinates in place of displacements; grids are all that
    `Grid` knows.

    width: channels of v. hidden: of the kernel's network. radius: of the ball, as a share of the shortest side.
    Source: Li et al. (2020), Neural Operator: Graph Kernel Network for Partial Differential Equations.
    Raises ValueError where a ball holds no neighbour.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        width: int = 16,
        n_layers: int = 4,
        hidden: int = 32,
        radius: float = 0.125,
        conditioning: Conditioning = Concatenation(),
    ) -> None:
        super().__init__(problem)
        grid = problem.grid
        if min(width, n_layers, hidden) < 1:
            raise ValueError(f"width {width}, n_layers {n_layers} and hidden {hidden} must be positive")
        length = radius * min(grid.extent)
        if length <= max(grid.spacing):
            raise ValueError(f"a ball of radius {length:g} holds no neighbour at a distance of {max(grid.spacing):g}")
        if all(grid.periodic):
            self.own_shift_period = 1
        self.conditioning = conditioning.bind(problem)
        n_inputs, self.n_layers = self.conditioning.n_inputs, n_layers
        self.lifting = PointwiseMLP(n_inputs, 2 * width, width)
        self.integral = BallIntegral(n_inputs, width, hidden, dim=grid.ndim, radius=length)
        self.skip = Pointwise(width, width)
        self.modulation = self.conditioning.modulation(width)
        self.projection = PointwiseMLP(width, 2 * width, self.conditioning.n_outputs)

    def forward(self, u: State, params: Parameters) -> State:
        grid = self.grid_of(u)
        a = self.conditioning.encode(u, params)
        v = self.lifting(a)
        for _ in range(self.n_layers):
            v = F.gelu(self.modulation(self.skip(v) + self.integral(v, a, grid), params))
        return self.conditioning.decode(self.projection(v))
