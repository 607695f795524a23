"""The Fourier neural operator, in any dimension, with parameters and coefficient fields as inputs."""

from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.fields import Boundary, Parameters, Problem, State
from duhamel.operators.base import Operator
from duhamel.operators.conditioning import Concatenation, Conditioning, Modulation
from duhamel.operators.pointwise import GatedMLP, Pointwise, PointwiseMLP
from duhamel.operators.spectral_conv import SpectralConv
from duhamel.operators.spectral_weights import Rank


class FourierBlock(nn.Module):
    """v = gelu(K u + W u + b), then gelu(M(v) + g u) with a pointwise network M and a gate g a channel.

    A conditioning may modulate v by the parameters before its activation.
    The last block of an operator has no activations outside M. Without a network the first line is the block.
    """

    def __init__(
        self, spectral: SpectralConv, width: int, *, mlp_expansion: float, modulation: Modulation, last: bool
    ) -> None:
        super().__init__()
        self.spectral = spectral
        self.modulation = modulation
        self.skip = Pointwise(width, width, bias=False)
        hidden = round(mlp_expansion * width)
        self.mlp = GatedMLP(width, hidden) if hidden else None
        self.last = last

    def forward(self, u: State, params: Parameters) -> State:
        v = self.modulation(self.skip.add_to(self.spectral(u).to(u.dtype), u), params)
        if not self.last:
            v = F.gelu(v)
        if self.mlp is None:
            return v
        v = self.mlp(v, u)
        return v if self.last else F.gelu(v)


class FNO(Operator):
    """Lifting, Fourier blocks v <- gelu(F^-1 R_k F v + W v), projection: Li et al. (2021), eqs. (2) to (5).

    Inputs are the state, the coefficient fields, whatever `conditioning` makes of the numbers among the parameters (a
    constant channel each, unless it says otherwise), and, with `position`, the coordinates scaled to [0, 1] (which
    gives up translation equivariance: leave it off on periodic domains, unless the equation itself depends on the
    place, as through a force that stands still, which no operator without positions can learn).

    n_modes: total kept frequencies per axis; one number serves every axis. width: channels of the blocks.
    mlp_expansion: hidden width of the pointwise network in a block over `width`, 0 for none.
    lifting: hidden width of lifting and projection over `width`.
    padding: share of its length by which each axis that is not periodic is extended with zeros, against wrap-around.
    spectral_precision: "fp32", "bf16", "fp16" or "fp64" for the spectral convolutions alone, whatever the trainer's
        precision; None follows the trainer's.
    weight, rank: multipliers "dense", or of low rank, "tucker" (TFNO: Kossaifi et al., 2024) or "cp", with the share of
        a dense multiplier's parameters that they keep, or their ranks (see `spectral_weights`).
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
        weight: str = "dense",
        rank: Rank = 1.0,
        conditioning: Conditioning = Concatenation(),
    ) -> None:
        super().__init__(problem)
        dim = problem.grid.ndim
        modes = (n_modes,) * dim if isinstance(n_modes, int) else tuple(n_modes)
        if len(modes) != dim:
            raise ValueError(f"n_modes {modes} names {len(modes)} axes, the problem has {dim}")
        if n_layers < 1 or width < 1 or padding < 0:
            raise ValueError(f"n_layers {n_layers}, width {width} must be positive and padding {padding} not negative")
        precision = None if spectral_precision is None else _dtype(spectral_precision)
        self.conditioning = conditioning.bind(problem)
        n_in = self.conditioning.n_inputs + (dim if position else 0)
        hidden = round(lifting * width)
        self.own_shift_period = 1 if all(problem.grid.periodic) and not position else 0
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
                SpectralConv(width, width, n_modes=modes, precision=precision, bias=True, weight=weight, rank=rank),
                width,
                mlp_expansion=mlp_expansion,
                modulation=self.conditioning.modulation(width),
                last=layer == n_layers - 1,
            )
            for layer in range(n_layers)
        )
        self.projection = PointwiseMLP(width, hidden, self.conditioning.n_outputs)

    def forward(self, u: State, params: Parameters) -> State:
        shape = tuple(u.shape[2:])
        v = self.conditioning.encode(u, params)
        if self.position:
            v = torch.cat([v, self._coordinates(u)], dim=1)
        v = self._pad(self.lifting(v))
        for block in self.blocks:
            v = block(v, params)
        for axis, n in enumerate(shape, start=2):
            v = v.narrow(axis, 0, n)
        return self.conditioning.decode(self.projection(v))

    def _coordinates(self, u: State) -> Float[Tensor, "batch dim *space"]:
        """Coordinates of the samples, [0, 1] being the domain of training, one channel an axis."""
        coordinates = self.grid_of(u).coordinates(dtype=u.dtype, device=u.device)
        origin, extent = self.trained_grid.origin, self.trained_grid.extent
        axes = [(x - left) / side for x, left, side in zip(coordinates, origin, extent, strict=True)]
        return torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(u.shape[0], -1, *u.shape[2:])

    def _pad(self, v: State) -> Float[Tensor, "batch channel *padded"]:
        padded = self._padded(tuple(v.shape[2:]))
        widths = [new - old for new, old in zip(padded, v.shape[2:], strict=True)]
        return F.pad(v, [w for width in reversed(widths) for w in (0, width)]) if any(widths) else v

    def _padded(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        # Rounded in whole numbers, which exported graphs with free grids can do.
        p, q = Fraction(self.padding).limit_denominator(1000).as_integer_ratio()
        return tuple(
            n if boundary is Boundary.PERIODIC else n + (2 * n * p + q) // (2 * q)
            for n, boundary in zip(shape, self.problem.grid.boundary, strict=True)
        )


PRECISIONS = {"fp64": torch.float64, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def _dtype(name: str) -> torch.dtype:
    if name not in PRECISIONS:
        hint = "; TF32 is a way to multiply float32: matmul_precision=high" if name.lower() == "tf32" else ""
        raise ValueError(f"spectral_precision {name!r} is none of {sorted(PRECISIONS)}, nor null (the trainer's){hint}")
    return PRECISIONS[name]
