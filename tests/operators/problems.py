"""Small problems and statistics that tests of operators, surrogates and training share."""

import math

import torch

from duhamel.fields import Boundary, Centring, Grid, Moments, Problem, Quantity, Statistics


def line(n: int = 32, *, boundary: Boundary = Boundary.PERIODIC) -> Problem:
    """One channel that goes negative, one positive parameter over decades, on a line."""
    return Problem(
        equation="burgers",
        channels=(Quantity("velocity"),),
        scalars=(Quantity("viscosity", minimum=0.0),),
        coefficients=(),
        grid=Grid(shape=(n,), extent=(1.0,), boundary=(boundary,), centring=Centring.NODE),
        dt=0.1,
    )


def plane(n: int = 12) -> Problem:
    """A stationary problem with one coefficient on a square."""
    return Problem(
        equation="darcy",
        channels=(Quantity("pressure"),),
        scalars=(),
        coefficients=(Quantity("permeability", minimum=0.0),),
        grid=Grid(shape=(n, n), extent=(1.0, 1.0), boundary=(Boundary.DIRICHLET,) * 2, centring=Centring.CELL),
        dt=0.0,
    )


def moments(*samples: torch.Tensor) -> Moments:
    """Moments of each tensor as one quantity."""
    columns = [s.double().flatten() for s in samples]

    def each(function) -> torch.Tensor:
        return torch.stack([function(c) for c in columns]) if columns else torch.zeros(0, dtype=torch.float64)

    def log_of(c: torch.Tensor) -> torch.Tensor:
        return c.log() if bool((c > 0).all()) else torch.full_like(c, math.nan)

    return Moments(
        each(torch.mean),
        each(lambda c: c.std(correction=0)),
        each(torch.min),
        each(torch.max),
        each(lambda c: log_of(c).mean()),
        each(lambda c: log_of(c).std(correction=0)),
    )


def line_statistics() -> Statistics:
    generator = torch.Generator().manual_seed(0)
    u = 2.0 + 3.0 * torch.randn(4, 6, 32, generator=generator)
    return Statistics(moments(u), moments(u.diff(dim=1)), moments(torch.tensor([1e-3, 1e-2, 1e-1])), moments())


def plane_statistics() -> Statistics:
    generator = torch.Generator().manual_seed(0)
    solution = 0.01 + 0.002 * torch.randn(8, 12, 12, generator=generator)
    permeability = torch.where(torch.rand(8, 12, 12, generator=generator) > 0.5, 12.0, 3.0)
    return Statistics(moments(solution), moments(solution), moments(), moments(permeability))
