"""Fourier layers beside local integrals and derivatives: global and local at once."""

from torch import nn
from torch.nn import functional as F

from duhamel.fields import Grid, Parameters, Problem, State
from duhamel.operators.base import Operator
from duhamel.operators.conditioning import Concatenation, Conditioner, Conditioning, Hidden
from duhamel.operators.local_kernels import DifferentialKernel, IntegralKernel
from duhamel.operators.pointwise import Pointwise, PointwiseMLP
from duhamel.operators.spectral_conv import SpectralConv


class LocalBlock(nn.Module):
    """v <- gelu(m(K v + D v + L v + W v + b)), without the activation in the last block."""

    def __init__(
        self,
        width: int,
        *,
        n_modes: tuple[int, ...],
        grid: Grid,
        radius: float,
        n_nodes: int,
        conditioner: Conditioner,
        last: bool,
    ) -> None:
        super().__init__()
        self.spectral = SpectralConv(width, width, n_modes=n_modes, bias=True)
        self.differential = DifferentialKernel(width, width, grid=grid)
        self.integral = IntegralKernel(width, width, grid=grid, radius=radius, n_nodes=n_nodes) if n_nodes else None
        self.skip = Pointwise(width, width, bias=False)
        self.modulation = conditioner.modulation(width)
        self.last = last

    def forward(self, v: Hidden, params: Parameters, grid: Grid) -> Hidden:
        w = self.skip.add_to(self.spectral(v).to(v.dtype), v) + self.differential(v, grid)
        if self.integral is not None:
            w = w + self.integral(v, grid)
        w = self.modulation(w, params)
        return w if self.last else F.gelu(w)


class LocalNO(Operator):
    """Lifting, blocks v <- gelu(K v + D v + L v + W v + b), projection.

    K is a truncated Fourier multiplier, D a derivative learned as a stencil, L an integral against a kernel of fixed
    radius (`local_kernels`): all of them maps between functions, so that the operator converges under refinement.

    n_modes: total kept frequencies per axis, every axis alike. width: channels of the blocks.
    radius: of the integral kernels, as a share of the shortest side. n_nodes: hat functions an axis; 0: no integrals.
    Source: Liu-Schiaffini et al. (2024), Neural Operators with Localized Integral and Differential Kernels, ICML.
        neuraloperator's own LocalNO needs torch-harmonics and has the integrals in two dimensions alone.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        n_modes: int = 16,
        width: int = 32,
        n_layers: int = 4,
        radius: float = 0.1,
        n_nodes: int = 3,
        conditioning: Conditioning = Concatenation(),
    ) -> None:
        super().__init__(problem)
        grid = problem.grid
        if min(width, n_layers, n_modes) < 1 or n_nodes < 0:
            raise ValueError(
                f"width {width}, n_layers {n_layers} and n_modes {n_modes} must be positive, n_nodes {n_nodes} not "
                "negative"
            )
        if n_modes > min(grid.shape):
            raise ValueError(f"n_modes {n_modes} are more than the points of an axis ({grid.shape})")
        if all(grid.periodic):
            self.own_shift_period = 1
        self.conditioning = conditioning.bind(problem)
        self.lifting = PointwiseMLP(self.conditioning.n_inputs, 2 * width, width)
        self.blocks = nn.ModuleList(
            LocalBlock(
                width,
                n_modes=(n_modes,) * grid.ndim,
                grid=grid,
                radius=radius * min(grid.extent),
                n_nodes=n_nodes,
                conditioner=self.conditioning,
                last=layer == n_layers - 1,
            )
            for layer in range(n_layers)
        )
        self.projection = PointwiseMLP(width, 2 * width, self.conditioning.n_outputs)

    def forward(self, u: State, params: Parameters) -> State:
        grid = self.grid_of(u)
        v = self.lifting(self.conditioning.encode(u, params))
        for block in self.blocks:
            v = block(v, params, grid)
        return self.conditioning.decode(self.projection(v))
