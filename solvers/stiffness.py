"""The matrix of `duhamel.pdes.diffusion` for many coefficients at once, without storing a matrix."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Grid
from duhamel.pdes.diffusion import require_cells, transmissibilities


@dataclass(frozen=True)
class Stiffness:
    """u -> A(a) u, symmetric and positive (semi)definite, one matrix a sample. Works in place: carries no graph.

    faces: transmissibilities of each axis, n + 1 of them along it.
    periodic: which axes wrap; the two ends of their faces are one face.
    singular: constants are in the kernel, for no axis is dirichlet.
    """

    faces: tuple[Float[Tensor, "batch ..."], ...]
    diagonal: Float[Tensor, "batch *space"]
    periodic: tuple[bool, ...]
    singular: bool

    @classmethod
    def of(cls, a: Float[Tensor, "batch *space"], grid: Grid) -> "Stiffness":
        require_cells(grid)
        faces = tuple(transmissibilities(a, grid, axis) for axis in range(grid.ndim))
        return cls(faces, _diagonal(faces), grid.periodic, Boundary.DIRICHLET not in grid.boundary)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.diagonal.shape[1:])

    def __call__(self, u: Float[Tensor, "batch *space"]) -> Float[Tensor, "batch *space"]:
        out = self.diagonal * u
        for axis, face in enumerate(self.faces):
            dim, n = 1 + axis, u.shape[1 + axis]
            inside = face.narrow(dim, 1, n - 1)
            left, right = out.narrow(dim, 0, n - 1), out.narrow(dim, 1, n - 1)
            right.addcmul_(inside, u.narrow(dim, 0, n - 1), value=-1)
            left.addcmul_(inside, u.narrow(dim, 1, n - 1), value=-1)
            if self.periodic[axis]:
                wrap = face.narrow(dim, 0, 1)
                out.narrow(dim, 0, 1).addcmul_(wrap, u.narrow(dim, n - 1, 1), value=-1)
                out.narrow(dim, n - 1, 1).addcmul_(wrap, u.narrow(dim, 0, 1), value=-1)
        return out

    def coarsened(self) -> "Stiffness":
        """Of the cells merged two by two along every axis (even shapes only).

        Galerkin's product with piecewise constant prolongation sums the transmissibilities between two merged cells.
        That is twice too stiff for smooth functions, as twice the distance lies between the centres: halved (the
        overcorrection of Braess (1995), Computing 55, section 4). Never less than half of Galerkin's matrix, so that
        jumps of the coefficient do no harm.
        """
        faces = []
        for axis, face in enumerate(self.faces):
            dim = 1 + axis
            kept = torch.arange(0, face.shape[dim], 2, device=face.device)
            merged = face.index_select(dim, kept) / 2
            for other in range(len(self.faces)):
                if other != axis:
                    merged = merged.unflatten(1 + other, (-1, 2)).sum(dim=2 + other)
            faces.append(merged)
        return Stiffness(tuple(faces), _diagonal(tuple(faces)), self.periodic, self.singular)

    def dense(self) -> Float[Tensor, "batch n n"]:
        """One matrix a sample, cells in row-major order."""
        batch, n = self.diagonal.shape[0], self.diagonal[0].numel()
        basis = torch.eye(n, dtype=self.diagonal.dtype, device=self.diagonal.device)
        columns = [self(e.reshape(1, *self.shape).expand(batch, *self.shape)) for e in basis]
        return torch.stack(columns, dim=-1).reshape(batch, n, n)


def _diagonal(faces: tuple[Tensor, ...]) -> Tensor:
    total = torch.zeros_like(faces[0].narrow(1, 0, faces[0].shape[1] - 1))
    for axis, face in enumerate(faces):
        n = face.shape[1 + axis] - 1
        total = total + face.narrow(1 + axis, 0, n) + face.narrow(1 + axis, 1, n)
    return total
