"""Nonlinear Schroedinger equation."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import GaussianField, Grid, Parameters, Quantity, RandomField
from duhamel.fields.fourier_space import ComplexFourierSpace, FourierSpace
from duhamel.pdes.base import integral
from duhamel.pdes.sampling import Distribution, Uniform
from duhamel.pdes.semilinear import SemilinearPDE, factor

FOCUSING = Uniform(0.5, 1.5)
PACKETS = GaussianField(sigma=0.3, tau=0.6, alpha=2.0, n_modes=5)


class NonlinearSchroedinger(SemilinearPDE):
    """i psi_t + Lap psi / 2 + g |psi|^2 psi = 0, periodic; channels are the parts of psi, the scalar `focusing` is g.

    In one dimension a soliton of amplitude A and speed s is
    A sech(A sqrt(g) (x - s t)) exp(i (s x + (A^2 g - s^2) t / 2)).
    """

    name = "nonlinear_schroedinger"
    channels = (Quantity("real"), Quantity("imaginary"))
    scalars = (Quantity("focusing"),)

    def __init__(
        self, *, length: float = 32.0, focusing: Distribution = FOCUSING, initial: RandomField = PACKETS
    ) -> None:
        super().__init__(length=length, initial=initial, distributions=(focusing,))

    def space(self, grid: Grid, *, truncated: bool = False) -> FourierSpace:
        return ComplexFourierSpace(grid, truncated)

    def symbol(self, params: Parameters, space: FourierSpace) -> Complex[Tensor, "*mode"]:
        return 0.5j * space.laplacian(device=params.scalars.device)[None, None]

    def nonlinear(
        self, v: Complex[Tensor, "batch 1 *mode"], params: Parameters, space: FourierSpace
    ) -> Complex[Tensor, "batch 1 *mode"]:
        u = space.samples(v)
        # i g |psi|^2 psi: the parts change places.
        rate = factor(params, 0, space).to(u.dtype) * u.square().sum(dim=1, keepdim=True)
        return space.modes(rate * torch.cat([-u[:, 1:], u[:, :1]], dim=1))

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        return {"mass": integral(u.square().sum(dim=-1 - grid.ndim), grid)}

    def hamiltonian(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters, grid: Grid
    ) -> Float[Tensor, " batch"]:
        """int |grad psi|^2 / 2 - g |psi|^4 / 2, which the evolution keeps."""
        space = self.space(grid)
        v = space.modes(u)
        g = factor(params, 0, space).to(u.dtype)[:, 0]
        density = -g * u.square().sum(dim=1) ** 2 / 2
        for axis in range(grid.ndim):
            density = density + space.samples(space.partial(axis, v)).square().sum(dim=1) / 2
        return integral(density, grid)
