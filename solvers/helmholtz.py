"""Helmholtz' equation by biquadratic finite elements (scikit-fem) and a sparse direct solve."""

from typing import ClassVar

import numpy as np
import scipy.sparse.linalg
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.pdes import Helmholtz
from duhamel.solvers.base import Solver, reference_solver
from duhamel.solvers.transfer import Transfer


class Bilinear:
    """Values at nodes, linear along each axis in between: refined exactly, coarsened by leaving nodes out."""

    def prolong(
        self, u: Float[Tensor, "batch channel *space"], grid: Grid, fine: Grid
    ) -> Float[Tensor, "batch channel *fine"]:
        return u if fine == grid else F.interpolate(u, size=fine.shape, mode="bilinear", align_corners=True)

    def restrict(
        self, u: Float[Tensor, "batch channel *fine"], fine: Grid, grid: Grid
    ) -> Float[Tensor, "batch channel *space"]:
        steps = [(m - 1) // (n - 1) for n, m in zip(grid.shape, fine.shape, strict=True)]
        return u[:, :, :: steps[0], :: steps[1]]


class HelmholtzFiniteElements:
    """(guess, wave speed) -> displacement; the guess is not used. Q2 elements between the nodes, of order 3 in L2.

    On the CPU in float64, one factorisation a sample; not differentiable. Dispersion (the pollution effect) adds some
    k h^4 k^4 to the error: 10 nodes a wavelength leave about 1e-3.
    """

    order: ClassVar[int] = 3
    transfer: ClassVar[Transfer] = Bilinear()

    def __init__(self, pde: Helmholtz, grid: Grid) -> None:
        # Importing scikit-fem takes half a second that nobody else should pay.
        import skfem
        from skfem.helpers import dot, grad

        pde.require_grid(grid)
        self.pde = pde
        self.grid = grid
        x, y = (c.numpy() for c in grid.coordinates())
        mesh = skfem.MeshQuad.init_tensor(x, y)
        self.basis = skfem.Basis(mesh, skfem.ElementQuad2())
        self.nodal = self.basis.with_element(skfem.ElementQuad1())
        low, h = np.array(grid.origin)[:, None], np.array(grid.spacing)[:, None]
        self.nodes = tuple(np.rint((mesh.p - low) / h).astype(int))
        top = mesh.facets_satisfying(lambda p: np.isclose(p[1], y[-1]))
        edge = skfem.FacetBasis(mesh, skfem.ElementQuad2(), facets=top)

        self.stiffness = skfem.BilinearForm(lambda u, v, w: dot(grad(u), grad(v))).assemble(self.basis)
        self.mass = skfem.BilinearForm(lambda u, v, w: (pde.omega / w.speed) ** 2 * u * v)
        load = skfem.LinearForm(lambda v, w: pde.flux(torch.from_numpy(w.x[0]), grid).numpy() * v)
        self.load = load.assemble(edge)

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        c = params.fields[:, 0].detach().double().cpu().numpy()
        if not (c > 0).all():
            raise ValueError(f"wave speeds must be positive, the smallest is {c.min()}")
        return torch.from_numpy(np.stack([self._solve(sample) for sample in c])).unsqueeze(1).to(u)

    def _solve(self, c: np.ndarray) -> np.ndarray:
        mass = self.mass.assemble(self.basis, speed=self.nodal.interpolate(c[self.nodes]))
        solution = scipy.sparse.linalg.splu((self.stiffness - mass).tocsc()).solve(self.load)
        out = np.empty(self.grid.shape)
        out[self.nodes] = solution[self.basis.nodal_dofs[0]]
        return out


@reference_solver.register
def _(pde: Helmholtz, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    if dt != 0 or substeps != 1:
        raise ValueError(
            f"helmholtz is stationary: dt must be 0 and substeps 1, got dt = {dt} and substeps = {substeps}"
        )
    return HelmholtzFiniteElements(pde, grid)
