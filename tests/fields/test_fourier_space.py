"""Fourier coefficients of states, and the symmetric extensions that make non-periodic axes periodic."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, GaussianField, Grid, VanishingField
from duhamel.fields.extension import extend, extended, restrict
from duhamel.fields.fourier_space import FourierSpace

PERIODIC, DIRICHLET, NEUMANN = Boundary.PERIODIC, Boundary.DIRICHLET, Boundary.NEUMANN


def torus(*shape: int) -> Grid:
    n = len(shape)
    return Grid(shape=shape, extent=(2 * math.pi,) * n, boundary=(PERIODIC,) * n, centring=Centring.NODE)


@pytest.mark.parametrize("shape", [(32,), (33,), (12, 15), (9, 8, 10)])
def test_truncated_space_holds_what_the_two_thirds_rule_keeps(shape: tuple[int, ...]) -> None:
    grid = torus(*shape)
    full, cut = FourierSpace(grid), FourierSpace(grid, truncated=True)
    u = torch.randn(2, 3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    v = full.modes(u)
    torch.testing.assert_close(full.samples(v), u, atol=1e-14, rtol=0)
    low = torch.where(full.kept(), v, 0)
    torch.testing.assert_close(cut.pad(cut.truncate(v)), low, atol=0, rtol=0)
    torch.testing.assert_close(cut.truncate(v), torch.where(cut.kept(), cut.modes(u), 0), atol=1e-13, rtol=0)
    torch.testing.assert_close(cut.samples(cut.truncate(v)), full.samples(low), atol=1e-14, rtol=0)
    for axis in range(len(shape)):
        torch.testing.assert_close(
            cut.pad(cut.partial(axis, cut.truncate(v))), full.partial(axis, low), atol=1e-12, rtol=0
        )
    torch.testing.assert_close(cut.laplacian(), full.laplacian()[..., : cut.laplacian().shape[-1]], atol=0, rtol=0)


def test_spectral_tail_reads_the_relative_size_of_unresolved_modes() -> None:
    grid = torus(60)
    x = grid.coordinates()[0]
    u = torch.stack([torch.cos(x), torch.cos(x) + 1e-3 * torch.cos(19 * x), 7 * torch.cos(17 * x), 0 * x])
    space = FourierSpace(grid)
    tail = space.tail(space.modes(u.unsqueeze(1)))
    torch.testing.assert_close(tail, torch.tensor([0, 1e-3, 0, 0], dtype=torch.float64), atol=1e-14, rtol=0)


@pytest.mark.parametrize("centring", Centring)
@pytest.mark.parametrize("boundary", [(DIRICHLET, NEUMANN), (NEUMANN, PERIODIC), (PERIODIC, DIRICHLET)])
def test_an_extended_smooth_function_is_smooth(boundary: tuple[Boundary, Boundary], centring: Centring) -> None:
    """Products of sines on Dirichlet and cosines on other axes extend to themselves."""
    grid = Grid(shape=(9, 12), extent=(1.0, 2.0), boundary=boundary, centring=centring, origin=(0.5, 0.0))

    def function(points: Grid) -> torch.Tensor:
        u = torch.ones((), dtype=torch.float64)
        for axis, (x, left, side) in enumerate(zip(points.coordinates(), grid.origin, grid.extent, strict=True)):
            wave = torch.sin if boundary[axis] is DIRICHLET else torch.cos
            u = u[..., None] * wave(2 * math.pi / side * (x - left))
        return u[None, None]

    u = extend(function(grid), grid)
    torch.testing.assert_close(u, function(extended(grid)), atol=1e-12, rtol=0)
    assert extended(grid).spacing == pytest.approx(grid.spacing)
    torch.testing.assert_close(restrict(u, grid), function(grid), atol=1e-12, rtol=0)


def test_a_vanishing_field_has_a_smooth_odd_extension(generator: torch.Generator) -> None:
    field = VanishingField(field=GaussianField(sigma=9.0, tau=3.0, alpha=2.0, n_modes=4))
    grid = Grid(shape=(32, 32), extent=(1.0, 2.0), boundary=(DIRICHLET, NEUMANN), centring=Centring.NODE)
    u = field.sample(grid, 3, generator).unsqueeze(1)
    assert u[:, :, 0].abs().max() < 1e-14 and u[:, :, -1].abs().max() < 1e-13 and u.abs().max() > 0.1
    space = FourierSpace(extended(grid))
    assert space.tail(space.modes(extend(u, grid))).max() < 1e-13
