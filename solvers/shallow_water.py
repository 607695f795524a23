"""Shallow water by finite volumes that keep a lake at rest and let the bed fall dry."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.pdes import ShallowWater
from duhamel.solvers.base import Solver, reference_solver, require_step
from duhamel.solvers.conservation_law import ConservationLaw, hll_speeds
from duhamel.solvers.finite_volume import FiniteVolume

DRY = 1e-10


class WaterColumn(ConservationLaw):
    """Stored and conserved: height, discharge; primitive: height, velocity, level. Level minus height is the bed.

    HLLC: the waves of height and normal discharge are HLL's, the tangential velocity is carried by the mass flux.
    At a face both columns are cut to the higher bed; what is cut off pushes back, so that a level at rest stays so to
    rounding. Columns lower than 1e-10 are at rest.

    Source: Audusse, Bouchut, Bristeau, Klein and Perthame (2004), SIAM J. Sci. Comput. 25, eqs. (2.9)-(2.15) and
    section 4; Toro (2001), Shock-Capturing Methods for Free-Surface Shallow Flows, section 10.4.
    """

    def __init__(self, gravity: float) -> None:
        self.gravity = gravity

    def conserved(self, u: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        return u

    def stored(self, q: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        return q

    def primitive(self, q: Float[Tensor, "batch ..."], params: Parameters) -> Float[Tensor, "batch ..."]:
        h, m = q[:, :1], q[:, 1:]
        wet = h > DRY
        return torch.cat([h, torch.where(wet, m / torch.where(wet, h, 1.0), 0.0), h + params.fields.to(q)], dim=1)

    def margins(self, q: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        return q[:, :1]

    def mirrored(self, w: Float[Tensor, "batch ..."], axis: int, side: int) -> Float[Tensor, "batch ..."]:
        return torch.cat([w[:, : 1 + axis], -w[:, 1 + axis : 2 + axis], w[:, 2 + axis :]], dim=1)

    def rate(self, w: Float[Tensor, "batch ..."], params: Parameters, grid: Grid) -> Float[Tensor, "batch ..."]:
        # Below zero by more than rounding: nan, which the scheme refuses.
        speed = torch.sqrt(self.gravity * torch.where(w[:, 0] > -DRY, w[:, 0].clamp_min(0), w[:, 0]))
        speeds = [(w[:, 1 + axis].abs() + speed) / h for axis, h in enumerate(grid.spacing)]
        return grid.ndim * torch.stack(speeds).amax(dim=0)

    def limited(
        self, w: Float[Tensor, "batch ..."], slope: Float[Tensor, "batch ..."], dim: int
    ) -> Float[Tensor, "batch ..."]:
        """None beside dry cells: a level reconstructed over dry land would set it in motion."""
        h, n = w[:, :1], w.shape[dim] - 2
        driest = torch.stack([h.narrow(dim, i, n) for i in range(3)]).amin(dim=0)
        return torch.where(driest > DRY, slope, 0.0)

    def flux(
        self, left: Float[Tensor, "batch ..."], right: Float[Tensor, "batch ..."], axis: int
    ) -> tuple[Float[Tensor, "batch ..."], Float[Tensor, "batch ..."]]:
        g = self.gravity
        bed = torch.maximum(left[:, -1:] - left[:, :1], right[:, -1:] - right[:, :1])
        # Round-off of level minus bed may not make water: a column is never higher than it was.
        h_l, h_r = (torch.minimum((w[:, -1:] - bed).clamp_min(0), w[:, :1]) for w in (left, right))
        v_l, v_r = left[:, 1:-1], right[:, 1:-1]
        n = slice(axis, axis + 1)
        c_l, c_r = (_root(g * h) for h in (h_l, h_r))
        s_l, s_r = hll_speeds(v_l[:, n] - c_l, v_l[:, n] + c_l, v_r[:, n] - c_r, v_r[:, n] + c_r)
        s_l, s_r = s_l.clamp_max(0), s_r.clamp_min(0)
        width = s_r - s_l
        wide = width > 0
        width = torch.where(wide, width, 1.0)
        m_l, m_r = h_l * v_l[:, n], h_r * v_r[:, n]
        mass = torch.where(wide, (s_r * m_l - s_l * m_r + s_l * s_r * (h_r - h_l)) / width, 0.0)
        push_l, push_r = m_l * v_l[:, n] + g * h_l**2 / 2, m_r * v_r[:, n] + g * h_r**2 / 2
        push = torch.where(wide, (s_r * push_l - s_l * push_r + s_l * s_r * (m_r - m_l)) / width, 0.0)
        momentum = mass * torch.where(mass >= 0, v_l, v_r)
        below, above = (
            torch.cat([mass, momentum[:, :axis], push + g / 2 * (w[:, :1] ** 2 - h**2), momentum[:, axis + 1 :]], dim=1)
            for w, h in ((left, h_l), (right, h_r))
        )
        return below, above

    def cell_source(
        self, lower: Float[Tensor, "batch ..."], upper: Float[Tensor, "batch ..."], axis: int
    ) -> Float[Tensor, "batch ..."]:
        """-g h db over the cell, h the mean of its faces, db the rise of the bed between them."""
        rise = (upper[:, -1:] - upper[:, :1]) - (lower[:, -1:] - lower[:, :1])
        push = -self.gravity * (lower[:, :1] + upper[:, :1]) / 2 * rise
        source = torch.zeros_like(lower[:, :-1])
        source[:, 1 + axis : 2 + axis] = push
        return source


def _root(u: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
    """sqrt with the gradient 0 at 0."""
    return torch.where(u > 0, torch.sqrt(torch.where(u > 0, u, 1.0)), 0.0)


@reference_solver.register
def _(pde: ShallowWater, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    require_step(dt, substeps)
    return FiniteVolume(WaterColumn(pde.gravity), grid, dt, substeps=substeps)
