"""Squared-exponential fields: their covariance, and one function on every grid."""

import math

import pytest
import torch

from duhamel.fields import Boundary, Centring, Grid, SmoothField


def grid(n: int, boundary: Boundary, dim: int = 1) -> Grid:
    return Grid(shape=(n,) * dim, extent=(2.0,) * dim, boundary=(boundary,) * dim, centring=Centring.NODE)


@pytest.mark.parametrize("boundary", [Boundary.PERIODIC, Boundary.DIRICHLET])
def test_covariance_is_the_kernel(boundary):
    """Exactly: the expansion's functions, not samples, give it."""
    field, line = SmoothField(length=0.2), grid(9, boundary)
    x = line.coordinates()[0] / 2
    functions = field._axis(x, boundary is Boundary.PERIODIC)
    d = x[:, None] - x
    d = torch.sin(math.pi * d) if boundary is Boundary.PERIODIC else d
    torch.testing.assert_close(functions @ functions.T, torch.exp(-d.square() / (2 * 0.2**2)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("boundary", [Boundary.PERIODIC, Boundary.DIRICHLET])
def test_a_seed_is_one_function_on_every_grid(boundary):
    def sample(n):
        return SmoothField(length=0.3, sigma=2.0).sample(grid(n, boundary, 2), 3, torch.Generator().manual_seed(1))

    coarse = 16 if boundary is Boundary.PERIODIC else 17
    fine = 32 if boundary is Boundary.PERIODIC else 33
    torch.testing.assert_close(sample(fine)[:, ::2, ::2], sample(coarse), rtol=0, atol=1e-9)


def test_the_mean_goes_where_it_is_not_wanted(generator):
    u = SmoothField(length=0.2, zero_mean=True).sample(grid(16, Boundary.PERIODIC, 2), 4, generator)
    assert u.mean((1, 2)).abs().max() < 1e-14
    with pytest.raises(ValueError, match="length must exceed 0.02"):
        SmoothField(length=0.01)
