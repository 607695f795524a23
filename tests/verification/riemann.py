"""Exact solutions of Riemann problems, averaged over cells."""

import math
from collections.abc import Callable

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from duhamel.fields import Grid

Profile = Callable[[np.ndarray], np.ndarray]


def cell_means(profile: Profile, grid: Grid, middle: float, t: float, points: int = 32) -> Tensor:
    """Of profile((x - middle) / t), "channel x", by the midpoint rule with `points` points a cell."""
    h = grid.spacing[0]
    offsets = h * ((np.arange(points) + 0.5) / points - 0.5)
    xi = (grid.coordinates()[0].numpy()[:, None] + offsets - middle) / t
    return torch.from_numpy(profile(xi.ravel()).reshape(-1, *xi.shape).mean(axis=2))


def euler(left: tuple[float, float, float], right: tuple[float, float, float], gamma: float) -> Profile:
    """(density, pressure, velocity) on both sides -> state at x / t. Toro (2009), chapter 4."""
    (rho_l, p_l, v_l), (rho_r, p_r, v_r) = left, right
    c_l, c_r = math.sqrt(gamma * p_l / rho_l), math.sqrt(gamma * p_r / rho_r)
    g1, g2 = (gamma - 1) / (2 * gamma), (gamma - 1) / (gamma + 1)

    def change(p: float, rho: float, p0: float, c: float) -> float:
        if p > p0:
            return (p - p0) * math.sqrt(2 / (gamma + 1) / rho / (p + g2 * p0))
        return 2 * c / (gamma - 1) * ((p / p0) ** g1 - 1)

    p = scipy.optimize.brentq(
        lambda p: change(p, rho_l, p_l, c_l) + change(p, rho_r, p_r, c_r) + v_r - v_l, 1e-12, 1e3, xtol=1e-15
    )
    v = (v_l + v_r + change(p, rho_r, p_r, c_r) - change(p, rho_l, p_l, c_l)) / 2

    def side(xi: np.ndarray, rho: float, p0: float, v0: float, c: float, v: float) -> np.ndarray:
        """The left half of the fan; the right one is its mirror image."""
        if p > p0:
            shock = v0 - c * math.sqrt((gamma + 1) / (2 * gamma) * p / p0 + g1)
            star = rho * (p / p0 + g2) / (g2 * p / p0 + 1)
            return np.where(xi < shock, np.array([[rho], [p0], [v0]]), np.array([[star], [p], [v]]))
        star, tail = rho * (p / p0) ** (1 / gamma), v - c * (p / p0) ** g1
        factor = np.clip(2 / (gamma + 1) + g2 / c * (v0 - xi), 0, None)
        fan = np.stack(
            [
                rho * factor ** (2 / (gamma - 1)),
                p0 * factor ** (2 * gamma / (gamma - 1)),
                2 / (gamma + 1) * (c + (gamma - 1) / 2 * v0 + xi),
            ]
        )
        fan = np.where(xi < v0 - c, np.array([[rho], [p0], [v0]]), fan)
        return np.where(xi > tail, np.array([[star], [p], [v]]), fan)

    def profile(xi: np.ndarray) -> np.ndarray:
        below = side(xi, rho_l, p_l, v_l, c_l, v)
        above = side(-xi, rho_r, p_r, -v_r, c_r, -v) * np.array([[1.0], [1.0], [-1.0]])
        return np.where(xi < v, below, above)

    return profile


def stoker(h_l: float, h_r: float, g: float) -> Profile:
    """(height, discharge) of a dam break over a wet bed: Stoker (1957), Water Waves, section 10.8."""
    c_l = math.sqrt(g * h_l)

    def mismatch(h: float) -> float:
        return 2 * (c_l - math.sqrt(g * h)) - (h - h_r) * math.sqrt(g / 2 * (h + h_r) / (h * h_r))

    h = scipy.optimize.brentq(mismatch, h_r, h_l, xtol=1e-15)
    v = 2 * (c_l - math.sqrt(g * h))
    shock = h * v / (h - h_r)

    def profile(xi: np.ndarray) -> np.ndarray:
        fan_h, fan_v = (2 * c_l - xi) ** 2 / (9 * g), 2 / 3 * (c_l + xi)
        height = np.select([xi < -c_l, xi < v - math.sqrt(g * h), xi < shock], [h_l, fan_h, h], h_r)
        speed = np.select([xi < -c_l, xi < v - math.sqrt(g * h), xi < shock], [0.0, fan_v, v], 0.0)
        return np.stack([height, height * speed])

    return profile


def ritter(h_l: float, g: float) -> Profile:
    """(height, discharge) of a dam break over a dry bed: Ritter (1892)."""
    c = math.sqrt(g * h_l)

    def profile(xi: np.ndarray) -> np.ndarray:
        fan_h, fan_v = (2 * c - xi) ** 2 / (9 * g), 2 / 3 * (c + xi)
        height = np.select([xi < -c, xi < 2 * c], [h_l, fan_h], 0.0)
        return np.stack([height, height * np.select([xi < -c, xi < 2 * c], [0.0, fan_v], 0.0)])

    return profile
