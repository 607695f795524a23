"""The Fourier neural operator, in any dimension, with parameters and coefficient fields as inputs."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.fields import Boundary, Parameters, Problem, State
from duhamel.operators.base import Operator
from duhamel.operators.pointwise import Pointwise, PointwiseMLP, broadcast_scalars
from duhamel.operators.spectral_conv import SpectralConv


class FourierBlock(nn.Module):
    """v = gelu(K u + W u), then v + M(v) with a pointwise network M; no activation after the last block."""

    def __init__(
        self, width: int, *, n_modes: tuple[int, ...], mlp_expansion: float, last: bool, precision: torch.dtype | None
    ) -> None:
        super().__init__()
        self.spectral = SpectralConv(width, width, n_modes=n_modes, precision=precision)
        self.skip = Pointwise(width, width)
        hidden = round(mlp_expansion * width)
        self.mlp = PointwiseMLP(width, hidden, width) if hidden else None
        self.last = last

    def forward(self, u: State) -> State:
        skipped = self.skip(u)
        v = self.spectral(u).to(skipped.dtype) + skipped
        if self.mlp is not None:
            v = F.gelu(v)
            v = v + self.mlp(v)
        return v if self.last else F.gelu(v)


class FNO(Operator):
    """Lifting, Fourier blocks v <- gelu(F^-1 R_k F v + W v), projection: Li et al. (2021), eqs. (2) to (5).

    Inputs are the state, each scalar parameter as a constant channel, the coefficient fields, and, with `position`,
    the coordinates scaled to [0, 1] (which gives up translation equivariance: leave it off on periodic domains).

    n_modes: total kept frequencies per axis; one number serves every axis. width: channels of the blocks.
    mlp_expansion: hidden width of the pointwise network in a block over `width`, 0 for none.
    lifting: hidden width of lifting and projection over `width`.
    padding: share of its length by which each axis that is not periodic is extended with zeros, against wrap-around.
    spectral_precision: name of the dtype of the spectral convolution ("float32", "bfloat16", ...), None follows the
        trainer's precision.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        n_modes: int | tuple[int, ...] = 16,
        width: int = 32,
        n_layers: int = 4,
        mlp_expansion: float = 0.5,
        lifting: float = 2.0,
        position: bool = False,
        padding: float = 0.0,
        spectral_precision: str | None = None,
    ) -> None:
        super().__init__(problem)
        dim = problem.grid.ndim
        modes = (n_modes,) * dim if isinstance(n_modes, int) else tuple(n_modes)
        if len(modes) != dim:
            raise ValueError(f"n_modes {modes} names {len(modes)} axes, the problem has {dim}")
        if n_layers < 1 or width < 1 or padding < 0:
            raise ValueError(f"n_layers {n_layers}, width {width} must be positive and padding {padding} not negative")
        precision = None if spectral_precision is None else _dtype(spectral_precision)
        n_in = len(problem.channels) + len(problem.scalars) + len(problem.coefficients) + (dim if position else 0)
        hidden = round(lifting * width)
        self.position = position
        self.padding = padding
        self.trained_grid = problem.grid
        for n, m in zip(self._padded(problem.grid.shape), modes, strict=True):
            if m > n:
                raise ValueError(
                    f"n_modes {modes} asks for {m} modes of an axis with {n} points ({problem.grid.shape})"
                )
        self.lifting = PointwiseMLP(n_in, hidden, width)
        self.blocks = nn.ModuleList(
            FourierBlock(
                width, n_modes=modes, mlp_expansion=mlp_expansion, last=layer == n_layers - 1, precision=precision
            )
            for layer in range(n_layers)
        )
        self.projection = PointwiseMLP(width, hidden, len(problem.channels))

    def forward(self, u: State, params: Parameters) -> State:
        shape = tuple(u.shape[2:])
        inputs = [u, broadcast_scalars(params.scalars, shape), params.fields]
        if self.position:
            inputs.append(self._coordinates(u))
        v = self._pad(self.lifting(torch.cat(inputs, dim=1)))
        for block in self.blocks:
            v = block(v)
        for axis, n in enumerate(shape, start=2):
            v = v.narrow(axis, 0, n)
        return self.projection(v)

    def _coordinates(self, u: State) -> Float[Tensor, "batch dim *space"]:
        """Coordinates of the samples, [0, 1] being the domain of training, one channel an axis."""
        coordinates = self.problem.grid.with_shape(tuple(u.shape[2:])).coordinates(dtype=u.dtype, device=u.device)
        origin, extent = self.trained_grid.origin, self.trained_grid.extent
        axes = [(x - left) / side for x, left, side in zip(coordinates, origin, extent, strict=True)]
        return torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(u.shape[0], -1, *u.shape[2:])

    def _pad(self, v: State) -> Float[Tensor, "batch channel *padded"]:
        padded = self._padded(tuple(v.shape[2:]))
        widths = [new - old for new, old in zip(padded, v.shape[2:], strict=True)]
        return F.pad(v, [w for width in reversed(widths) for w in (0, width)]) if any(widths) else v

    def _padded(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(
            n if boundary is Boundary.PERIODIC else n + round(self.padding * n)
            for n, boundary in zip(shape, self.problem.grid.boundary, strict=True)
        )


def _dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"{name!r} is not a floating-point dtype; one of float32, float64, bfloat16, float16")
    return dtype
