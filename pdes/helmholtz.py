"""Waves of one frequency in a medium of varying speed."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Centring, GaussianField, Grid, Parameters, Quantity, RandomField, SaturatedField
from duhamel.pdes.base import StationaryPDE

# Of De Hoop, Huang, Qian and Stuart (2022), section 4.2.2, which MgNO uses; theirs keep the 100 lowest modes by |j|.
SPEEDS = SaturatedField(field=GaussianField(sigma=1.0, tau=3.0, alpha=2.0, n_modes=9), mean=20.0, amplitude=1.0)


class Helmholtz(StationaryPDE):
    """-Lap u - (omega / c)^2 u = 0 on a rectangle, the coefficient `wave_speed` is c, the displacement u is real.

    The normal derivative is 1 on the middle part of the upper end of the second axis, zero elsewhere. Samples lie at
    nodes; c is bilinear between them. Without damping no bound holds uniformly in c, and speeds at which omega is an
    eigenfrequency have no solution.

    driven: the part of the upper end, as fractions of the first axis; the solver is of order 1 unless nodes lie there.

    Source: De Hoop, Huang, Qian and Stuart (2022), "The Cost-Accuracy Trade-Off in Operator Learning with Neural
    Networks", section 4.2.2.
    """

    name = "helmholtz"
    channels = (Quantity("displacement"),)
    coefficients = (Quantity("wave_speed", minimum=0.0),)

    def __init__(
        self,
        *,
        side: float = 1.0,
        omega: float = 1000.0,
        driven: Sequence[float] = (0.35, 0.65),
        wave_speed: RandomField = SPEEDS,
    ) -> None:
        self.side = side
        self.omega = omega
        self.driven = (float(driven[0]), float(driven[1]))
        self.wave_speed = wave_speed

    def grid(self, shape: tuple[int, ...]) -> Grid:
        grid = Grid(
            shape=shape,
            extent=(self.side,) * len(shape),
            boundary=(Boundary.NEUMANN,) * len(shape),
            centring=Centring.NODE,
        )
        self.require_grid(grid)
        return grid

    def require_grid(self, grid: Grid) -> None:
        """ValueError unless the grid is node-centred, of two dimensions, with neumann conditions."""
        if grid.ndim != 2 or grid.centring is not Centring.NODE or set(grid.boundary) != {Boundary.NEUMANN}:
            raise ValueError(f"{self.name} needs a node-centred plane with neumann axes, got {grid.to_dict()}")

    def flux(self, x: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
        """The normal derivative at positions x of the upper end."""
        low, high = (grid.origin[0] + share * grid.extent[0] for share in self.driven)
        return ((x >= low) & (x <= high)).to(x)

    def residual(
        self, u: Float[Tensor, "batch time channel *space"], params: Parameters, grid: Grid, dt: float
    ) -> Float[Tensor, "batch frame channel *space"]:
        """-Lap u - (omega / c)^2 u after the guess by second differences, half cells with the given flux at the ends.

        Of order 2 inside: (k h)^2 / 12 of k^2 u is left, 2 pi / (k h) nodes a wavelength.
        """
        self.require_grid(grid)
        solution = self.solutions(u, dt)[:, :, 0]
        square = (self.omega / params.fields[:, :1]) ** 2
        total = -square * solution
        for axis, h in enumerate(grid.spacing):
            dim = 2 + axis
            ends = torch.zeros_like(solution.narrow(dim, 0, 1))
            upper = ends
            if axis == 1:
                x = grid.coordinates(dtype=u.dtype, device=u.device)[0]
                upper = ends + self.flux(x, grid).reshape(-1, 1)
            slopes = torch.cat([ends, torch.diff(solution, dim=dim) / h, upper], dim=dim)
            widths = torch.full((grid.shape[axis],), h, dtype=u.dtype, device=u.device)
            widths[0] = widths[-1] = h / 2
            total = total - torch.diff(slopes, dim=dim) / widths.reshape(-1, *(1,) * (1 - axis))
        return total.unsqueeze(2)

    def sample_params(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Parameters:
        c = self.wave_speed.sample(grid, n_samples, generator).unsqueeze(1)
        return Parameters(c.new_zeros(n_samples, 0), c)
