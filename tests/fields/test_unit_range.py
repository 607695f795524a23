"""Unit ranges run from 0 to 1."""

import torch

from duhamel.fields import Boundary, Centring, Grid, PickedWaves, UnitRange


def test_a_unit_range_touches_both_ends(generator: torch.Generator) -> None:
    grid = Grid(shape=(50,), extent=(2.0,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    field = PickedWaves()
    u = UnitRange(field=field).sample(grid, 20, generator)
    assert torch.equal(u.amin(1), torch.zeros(20, dtype=torch.float64))
    assert torch.allclose(u.amax(1), torch.ones(20, dtype=torch.float64), atol=1e-15)
    plain = field.sample(grid, 20, torch.Generator().manual_seed(0))
    slope = (plain - plain.mean(1, keepdim=True)) / (u - u.mean(1, keepdim=True))
    assert torch.allclose(slope, slope[:, :1].expand_as(slope), rtol=1e-6), "shifted and scaled, nothing else"
