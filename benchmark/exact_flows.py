"""Flows of gases that are known in closed form: what finite volumes are measured against."""

import math

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.pdes import CompressibleNavierStokes, Euler


def density_wave(n: int, t: float) -> tuple[Euler, Grid, Tensor]:
    """1 + sin(2 pi (x - t)) / 5 carried at speed and pressure 1: its means over the cells."""
    pde = Euler(ndim=1, heat_ratio=1.4)
    grid = pde.grid((n,))
    density = 1 + np.sinc(1 / n) / 5 * torch.sin(2 * math.pi * (grid.coordinates()[0] - t))
    ones = torch.ones_like(density)
    return pde, grid, torch.stack([density, ones, ones]).unsqueeze(0)


def vortex(n: int, t: float) -> tuple[Euler, Grid, Tensor]:
    """Isentropic vortex carried with (1, 1) over a periodic square of side 10: Shu (1998), strength 5."""
    pde = Euler(ndim=2, side=10.0, heat_ratio=1.4)
    grid = pde.grid((n, n))
    x, y = ((c - 5 - t + 5) % 10 - 5 for c in grid.mesh())
    swirl = 5 / (2 * math.pi) * torch.exp((1 - x**2 - y**2) / 2)
    temperature = 1 - 0.4 / (2 * 1.4) * swirl**2
    return pde, grid, torch.stack([temperature**2.5, temperature**3.5, 1 - swirl * y, 1 + swirl * x]).unsqueeze(0)


def becker(n: int) -> tuple[CompressibleNavierStokes, Grid, Tensor, Parameters]:
    """A standing shock of Mach 2 at Prandtl number 3/4, width about 0.1: Becker (1922); Thompson (1972), section 7.7.

    There h + v^2 / 2 is constant, and x(v) = L / (v0 - v1) (v0 log(v0 - v) - v1 log(v - v1)), with
    L = 8 gamma mu / (3 (gamma + 1) m), m the mass flux, v0 and v1 the velocities on both sides.
    """
    gamma, mach, mu = 1.4, 2.0, 0.02
    pde = CompressibleNavierStokes(ndim=1, boundary="open", heat_ratio=gamma, prandtl=0.75)
    grid = pde.grid((n,))
    v0 = mach * math.sqrt(gamma)  # density and pressure 1 upstream
    v1 = v0 * ((gamma - 1) * mach**2 + 2) / ((gamma + 1) * mach**2)
    enthalpy = gamma / (gamma - 1) + v0**2 / 2
    length = 8 * gamma * mu / (3 * (gamma + 1) * v0)

    def x(v: float) -> float:
        return length / (v0 - v1) * (v0 * math.log(v0 - v) - v1 * math.log(v - v1))

    middle = x((v0 + v1) / 2)
    points = grid.coordinates()[0].numpy() - 0.5

    # In log(v - v1): near the downstream state v - v1 is far below the rounding of v.
    def velocity(at: float) -> float:
        def miss(s: float) -> float:
            share = 1 / (1 + math.exp(-s))
            first = math.log((v0 - v1) / (1 + math.exp(s)))
            return length / (v0 - v1) * (v0 * first - v1 * math.log((v0 - v1) * share)) - middle - at

        return v1 + (v0 - v1) / (1 + math.exp(-scipy.optimize.brentq(miss, -300, 300, xtol=1e-14)))

    v = torch.from_numpy(np.array([velocity(float(at)) for at in points]))
    density = v0 / v
    pressure = density * (enthalpy - v**2 / 2) * (gamma - 1) / gamma
    params = Parameters(torch.tensor([[mu, 0.0]], dtype=torch.float64), torch.zeros(1, 0, n, dtype=torch.float64))
    return pde, grid, torch.stack([density, pressure, v]).unsqueeze(0), params
