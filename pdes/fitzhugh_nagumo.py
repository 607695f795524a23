"""FitzHugh-Nagumo reaction and diffusion: an activator and its inhibitor."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import Boundary, GaussianField, Parameters, Quantity, RandomField
from duhamel.fields.fourier_space import FourierSpace
from duhamel.pdes.sampling import Distribution, Uniform
from duhamel.pdes.semilinear import SemilinearPDE, factor

ACTIVATOR, INHIBITOR, THRESHOLDS = Uniform(5e-4, 2e-3), Uniform(3e-3, 7e-3), Uniform(2e-3, 8e-3)
SPOTS = GaussianField(sigma=10.0, tau=5.0, alpha=2.0, n_modes=8, zero_mean=True)


class FitzHughNagumo(SemilinearPDE):
    """u_t = D_u Lap u + u - u^3 - k - v,  v_t = D_v Lap v + u - v; without flux through the boundary, or periodic.

    Scalars: `activator_diffusivity` D_u, `inhibitor_diffusivity` D_v, `threshold` k. PDEBench's 2-D diffusion-reaction
    (Takamoto et al., 2022, appendix D.4) is this on a square of side 2 with D_u = 1e-3, D_v = 5e-3, k = 5e-3 to t = 5;
    its initial states are white noise, which no grid resolves: the defaults here are smooth.
    """

    name = "fitzhugh_nagumo"
    channels = (Quantity("activator"), Quantity("inhibitor"))
    scalars = (
        Quantity("activator_diffusivity", minimum=0.0),
        Quantity("inhibitor_diffusivity", minimum=0.0),
        Quantity("threshold"),
    )
    boundaries = (Boundary.PERIODIC, Boundary.NEUMANN)

    def __init__(
        self,
        *,
        length: float = 2.0,
        boundary: str = Boundary.NEUMANN,
        activator_diffusivity: Distribution = ACTIVATOR,
        inhibitor_diffusivity: Distribution = INHIBITOR,
        threshold: Distribution = THRESHOLDS,
        initial: RandomField = SPOTS,
    ) -> None:
        distributions = (activator_diffusivity, inhibitor_diffusivity, threshold)
        super().__init__(length=length, initial=initial, distributions=distributions, boundary=boundary)

    def symbol(self, params: Parameters, space: FourierSpace) -> Float[Tensor, "batch channel *mode"]:
        D_u, D_v = factor(params, 0, space), factor(params, 1, space)
        laplacian = space.laplacian(device=D_u.device)
        return torch.cat([D_u * laplacian + 1, D_v * laplacian - 1], dim=1)

    def nonlinear(
        self, v: Complex[Tensor, "batch channel *mode"], params: Parameters, space: FourierSpace
    ) -> Complex[Tensor, "batch channel *mode"]:
        activator, inhibitor = v[:, :1], v[:, 1:]
        u = space.samples(activator)
        k = factor(params, 2, space).to(u.dtype)
        return torch.cat([space.modes(-(u**3) - k) - inhibitor, activator], dim=1)
