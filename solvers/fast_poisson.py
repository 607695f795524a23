"""The Laplacian of a box inverted exactly by its eigenvectors, and the preconditioner that this makes."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Grid
from duhamel.pdes.diffusion import require_cells


class FastPoisson:
    """f -> u of -Lap u = f by cell-centred finite volumes, to rounding; `duhamel.pdes.diffusion` with a = 1.

    One orthogonal transform an axis: sines (DST-II) where dirichlet, cosines (DCT-II) where neumann, both where
    periodic, as products with a small matrix: batched, in any dimension and dtype, on any device, differentiable.
    Where constants are in the kernel (no dirichlet axis), the mean of f is dropped and u has none.
    """

    def __init__(self, grid: Grid) -> None:
        require_cells(grid)
        self.grid = grid
        self.bases = []
        eigenvalues = torch.zeros((), dtype=torch.float64)
        for axis in range(grid.ndim):
            values, vectors = eigenbasis(grid, axis)
            self.bases.append(vectors)
            eigenvalues = eigenvalues[..., None] + values
        kernel = eigenvalues < 1e-12 * eigenvalues.max()
        self.inverse = torch.where(kernel, 0.0, 1 / eigenvalues.masked_fill(kernel, 1.0))

    def __call__(self, f: Float[Tensor, "batch *space"]) -> Float[Tensor, "batch *space"]:
        bases = [basis.to(f) for basis in self.bases]
        return _contract(_contract(f, bases) * self.inverse.to(f), [basis.mT for basis in bases])


class ScaledLaplacian:
    """r -> a^-1/2 L^-1 a^-1/2 r: a preconditioner of -div(a grad .) whose quality depends on grad log a, not on h.

    For smooth coefficients; where a jumps, `Multigrid` needs fewer iterations.
    """

    def __init__(self, a: Float[Tensor, "batch *space"], grid: Grid) -> None:
        self.poisson = FastPoisson(grid)
        self.scale = a.detach().rsqrt()

    def __call__(self, r: Float[Tensor, "batch *space"]) -> Float[Tensor, "batch *space"]:
        return self.scale * self.poisson(self.scale * r)


def eigenbasis(grid: Grid, axis: int) -> tuple[Float[Tensor, " mode"], Float[Tensor, "n mode"]]:
    """Eigenvalues and orthonormal eigenvectors of minus the second difference along one axis, in float64."""
    n, h = grid.shape[axis], grid.spacing[axis]
    x = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    j = torch.arange(n, dtype=torch.float64)
    match grid.boundary[axis]:
        case Boundary.DIRICHLET:
            angle, vectors = math.pi * (j + 1) / 2, torch.sin(math.pi * x[:, None] * (j + 1))
        case Boundary.NEUMANN:
            angle, vectors = math.pi * j / 2, torch.cos(math.pi * x[:, None] * j)
        case _:
            # 1, cos 1, sin 1, cos 2, ...; the highest mode of an even n is a cosine at nodes, a sine at centres.
            k = torch.div(j + 1, 2, rounding_mode="floor")
            wave = 2 * math.pi * (x[:, None] - 0.5 / n) * k
            angle, vectors = math.pi * k, torch.where(j % 2 == 0, torch.sin(wave), torch.cos(wave))
            vectors[:, 0] = 1.0
    values = 4 / h**2 * torch.sin(angle / n) ** 2
    return values, vectors / torch.linalg.vector_norm(vectors, dim=0)


def _contract(u: Tensor, matrices: list[Tensor]) -> Tensor:
    for matrix in matrices:
        # Contracting the first space axis appends its modes: after all axes the order is right.
        u = torch.tensordot(u, matrix, dims=([1], [0]))
    return u
