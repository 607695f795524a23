"""Darcy flow by Galerkin's method on the leading modes of known solutions."""

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters, State
from duhamel.pdes.diffusion import require_dirichlet_cells
from duhamel.solvers.stiffness import Stiffness


class ReducedBasis:
    """(guess, permeability) -> the element of span(V) nearest to the solution in the energy norm.

    V^T A(a) V c = V^T f, V the leading singular vectors of snapshots (proper orthogonal decomposition). Quarteroni,
    Manzoni and Negri (2016), Reduced Basis Methods for PDEs, chapters 3 and 6. The guess is not used.
    """

    def __init__(self, basis: Float[Tensor, "mode *space"], grid: Grid, *, source: float = 1.0) -> None:
        require_dirichlet_cells(grid)
        self.basis = basis
        self.grid = grid
        self.source = source

    @classmethod
    def fitted(
        cls, snapshots: Float[Tensor, "sample *space"], grid: Grid, *, n_modes: int, source: float = 1.0
    ) -> "ReducedBasis":
        if len(snapshots) < n_modes:
            raise ValueError(f"{n_modes} modes need as many snapshots, got {len(snapshots)}")
        v = torch.linalg.svd(snapshots.flatten(1), full_matrices=False)[2]
        return cls(v[:n_modes].reshape(n_modes, *grid.shape), grid, source=source)

    def __call__(self, u: State, params: Parameters) -> State:
        a = params.fields[:, 0]
        basis = self.basis.to(a)
        flat = basis.flatten(1)
        images = torch.stack([Stiffness.of(sample.unsqueeze(0), self.grid)(basis).flatten(1) for sample in a])
        stiffness = images @ flat.T
        load = self.source * flat.sum(dim=1, keepdim=True).expand(len(a), -1, -1)
        coefficients = torch.linalg.solve(stiffness, load).squeeze(2)
        return (coefficients @ flat).reshape(u.shape).to(u)
