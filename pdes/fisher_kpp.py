"""Fisher-KPP: diffusion and logistic growth."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import Boundary, GaussianField, LogisticField, Parameters, Quantity, RandomField
from duhamel.fields.fourier_space import FourierSpace
from duhamel.pdes.sampling import Distribution, LogUniform, Uniform
from duhamel.pdes.semilinear import SemilinearPDE, factor

DIFFUSIVITIES = LogUniform(1e-3, 1e-2)
GROWTH_RATES = Uniform(0.5, 2.0)
DENSITIES = LogisticField(field=GaussianField(sigma=40.0, tau=5.0, alpha=2.0, n_modes=4, zero_mean=True))


class FisherKPP(SemilinearPDE):
    """u_t = D Lap u + r u (1 - u), periodic or without flux through the boundary; `diffusivity` D, `growth_rate` r.

    Densities that start in [0, 1] stay there, and a constant one follows the logistic curve. Travelling fronts are as
    wide as sqrt(D / r). PDEBench's ReacDiff is this equation with D = Nu and r = rho.
    """

    name = "fisher_kpp"
    channels = (Quantity("density"),)
    scalars = (Quantity("diffusivity", minimum=0.0), Quantity("growth_rate"))
    boundaries = (Boundary.PERIODIC, Boundary.NEUMANN)

    def __init__(
        self,
        *,
        length: float = 1.0,
        boundary: str = Boundary.PERIODIC,
        diffusivity: Distribution = DIFFUSIVITIES,
        growth_rate: Distribution = GROWTH_RATES,
        initial: RandomField = DENSITIES,
    ) -> None:
        super().__init__(length=length, initial=initial, distributions=(diffusivity, growth_rate), boundary=boundary)

    def symbol(self, params: Parameters, space: FourierSpace) -> Float[Tensor, "batch channel *mode"]:
        D = factor(params, 0, space)
        return D * space.laplacian(device=D.device)

    def nonlinear(
        self, v: Complex[Tensor, "batch channel *mode"], params: Parameters, space: FourierSpace
    ) -> Complex[Tensor, "batch channel *mode"]:
        # Growth stays with its saturation: with r u in L the error of a step is seventeen times as large.
        u = space.samples(v)
        growth = torch.addcmul(u, u, u, value=-1)
        r = factor(params, 1, space).to(u.dtype)
        return space.modes(growth * r if r.requires_grad else growth.mul_(r))
