"""Kernel fields have the kernel's covariance and are functions; unit ranges run from 0 to 1."""

import math

import torch

from duhamel.fields import Boundary, Centring, Grid, PeriodicKernelField, PickedWaves, UnitRange


def torus(*shape: int) -> Grid:
    n = len(shape)
    return Grid(shape=shape, extent=(2.0,) * n, boundary=(Boundary.PERIODIC,) * n, centring=Centring.NODE)


def test_the_covariance_is_the_kernel(generator: torch.Generator) -> None:
    u = PeriodicKernelField(length=0.4).sample(torus(8, 6), 20000, generator)
    found = (u[:, :1, :1] * u).mean(dim=0)
    x, y = (torch.arange(n, dtype=torch.float64) / n for n in (8, 6))
    squares = torch.sin(math.pi * x)[:, None] ** 2 + torch.sin(math.pi * y) ** 2
    assert torch.allclose(found, torch.exp(-squares / (2 * 0.4**2)), atol=0.03)  # 4 / sqrt(20000)


def test_one_seed_is_one_function_and_the_mean_can_be_left_out() -> None:
    field = PeriodicKernelField(length=0.2, zero_mean=True)
    fine, coarse = (field.sample(torus(n, n), 3, torch.Generator().manual_seed(1)) for n in (60, 20))
    assert torch.allclose(fine[:, ::3, ::3], coarse, atol=1e-12)
    assert torch.allclose(fine.mean(dim=(1, 2)), torch.zeros(3, dtype=torch.float64), atol=1e-14)


def test_a_unit_range_touches_both_ends(generator: torch.Generator) -> None:
    field = PickedWaves()
    u = UnitRange(field=field).sample(torus(50), 20, generator)
    assert torch.equal(u.amin(1), torch.zeros(20, dtype=torch.float64))
    assert torch.allclose(u.amax(1), torch.ones(20, dtype=torch.float64), atol=1e-15)
    plain = field.sample(torus(50), 20, torch.Generator().manual_seed(0))
    slope = (plain - plain.mean(1, keepdim=True)) / (u - u.mean(1, keepdim=True))
    assert torch.allclose(slope, slope[:, :1].expand_as(slope), rtol=1e-6), "shifted and scaled, nothing else"
