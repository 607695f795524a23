"""Poisson's equation: divided by its symbol where periodic, by fast finite volumes where u vanishes at the ends."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.fields.spectral import to_modes, to_samples, wavenumbers
from duhamel.pdes import Poisson
from duhamel.solvers.base import EXACT, Solver, reference_solver
from duhamel.solvers.fast_poisson import FastPoisson
from duhamel.solvers.transfer import PointValues, Transfer


class FourierPoisson:
    """u_hat = f_hat / |k|^2, u without a mean: exact for a source that the grid resolves."""

    order: ClassVar[int] = EXACT
    transfer: ClassVar[Transfer] = PointValues()

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        square = torch.zeros((), dtype=torch.float64)
        for k in wavenumbers(grid):
            square = square + k**2
        self.inverse = torch.where(square > 0, 1 / square.clamp_min(torch.finfo(square.dtype).tiny), 0.0)

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        return to_samples(to_modes(params.fields, self.grid) * self.inverse.to(params.fields), self.grid)


class PoissonFiniteVolume:
    """`FastPoisson` on a cell-centred grid with u = 0 on the boundary."""

    order: ClassVar[int] = 2
    transfer: ClassVar[Transfer] = PointValues()

    def __init__(self, grid: Grid) -> None:
        self.solve = FastPoisson(grid)

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        return self.solve(params.fields[:, 0]).unsqueeze(1)


@reference_solver.register
def _(pde: Poisson, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    if dt != 0 or substeps != 1:
        raise ValueError(f"poisson is stationary: dt must be 0 and substeps 1, got dt = {dt} and substeps = {substeps}")
    return FourierPoisson(grid) if all(grid.periodic) else PoissonFiniteVolume(grid)
