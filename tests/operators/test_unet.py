"""U-Nets: published counts, symmetries, odd grids."""

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid, Parameters, Problem, Quantity
from duhamel.operators import UNO, ClassicUNet, MgNO, Unconditioned, UNet
from tests.operators.problems import line


def flow(n: int, *, dim: int, n_in: int, n_out: int) -> Problem:
    """n_out channels; n_in - n_out of the inputs are fields."""
    grid = Grid(shape=(n,) * dim, extent=(1.0,) * dim, boundary=(Boundary.PERIODIC,) * dim, centring=Centring.NODE)
    return Problem(
        equation="",
        channels=tuple(Quantity(f"u{i}") for i in range(n_out)),
        scalars=(),
        coefficients=tuple(Quantity(f"a{i}") for i in range(n_in - n_out)),
        grid=grid,
        dt=0.1,
    )


@pytest.mark.parametrize(
    ("dim", "width", "n_in", "n_out", "count"),
    [(1, 32, 1, 1, 2_707_809), (2, 32, 4, 4, 7_763_428), (2, 30, 8, 4, 6_824_854)],
)
def test_the_classic_one_has_the_published_number_of_parameters(dim, width, n_in, n_out, count):
    model = ClassicUNet(flow(32, dim=dim, n_in=n_in, n_out=n_out), width=width, faithful=True)
    assert sum(p.numel() for p in model.parameters()) == count


@pytest.mark.parametrize("kind", [UNet, ClassicUNet])
@pytest.mark.parametrize("boundary", [Boundary.PERIODIC, Boundary.NEUMANN, Boundary.DIRICHLET])
def test_any_boundary_and_odd_grids(kind, boundary, generator):
    problem = line(27, boundary=boundary)
    small = {"multipliers": (1, 2), "n_blocks": 1} if kind is UNet else {"n_levels": 2}
    model = kind(problem, width=4, conditioning=Unconditioned(), **small).double()
    u = torch.randn(2, 1, 27, generator=generator, dtype=torch.float64)
    params = Parameters(torch.ones(2, 1, dtype=torch.float64), torch.zeros(2, 0, 27, dtype=torch.float64))
    out = model(u, params)
    # Both ends see each other where they are one point, and nowhere else.
    far = torch.zeros_like(u)
    far[..., -1] = 1.0
    first = (model(u + far, params) - out)[..., 0].abs().max()
    assert bool(first > 1e-9) or boundary is not Boundary.PERIODIC
    mirrored = model(u.flip(2), params)
    assert mirrored.shape == u.shape and (mirrored - out).abs().max() > 1e-6


@pytest.mark.parametrize("make", [UNet, ClassicUNet, UNO, MgNO])
def test_shifts_are_claimed_where_every_level_halves_evenly(make):
    """66 points halve to 33, whose every second sample is no circle: a stencil sees a seam."""
    assert make(line(64)).shift_period in (4, 8, 16)
    assert make(line(66)).shift_period == 0
    assert make(line(64, boundary=Boundary.NEUMANN)).shift_period == 0


def test_the_grid_must_carry_the_levels():
    with pytest.raises(ValueError, match=r"3 levels below a grid of \(8,\) points leave \(2,\), an axis needs 3"):
        UNet(line(8))
    with pytest.raises(ValueError, match="5 levels below a grid"):
        ClassicUNet(line(16))
