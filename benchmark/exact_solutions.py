"""Closed forms that reference solvers are measured against."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def cole_hopf(x: Float[Tensor, " x"], t: float, nu: float) -> Float[Tensor, " x"]:
    """Burgers with u(x, 0) = sin x + 0.2 cos 2x.

    u = int (x - y) / t w dy / int w dy over the line, w = exp(-(x - y)^2 / (4 nu t) - H(y) / (2 nu)), H' = u(., 0).
    The trapezoidal rule is spectrally accurate here; the largest exponent is taken out before any exp.
    Source: Cole (1951), Quart. Appl. Math. 9(3).
    """
    z = torch.linspace(-9.0, 9.0, 6001, dtype=torch.float64)
    y = x[:, None] - z
    H = -torch.cos(y) + 0.1 * torch.sin(2 * y)
    w = torch.softmax(-(z**2) / (4 * nu * t) - H / (2 * nu), dim=1)
    if float(torch.maximum(w[:, 0], w[:, -1]).max()) > 1e-20:
        raise ValueError(f"t = {t} and nu = {nu} are too large for the interval of integration")
    return (w * z).sum(dim=1) / t


def heat_kernel(x: Float[Tensor, " x"], t: float, *, length: float, centre: float) -> Float[Tensor, " x"]:
    """sum_m exp(-(x - centre - m L)^2 / (4 t)) / sqrt(4 pi t): u_t = u_xx on a circle from a point source at t = 0."""
    images = torch.arange(-20, 21, dtype=torch.float64) * length
    distance = (x - centre)[:, None] - images
    return torch.exp(-(distance**2) / (4 * t)).sum(dim=1) / math.sqrt(4 * math.pi * t)


def kdv_soliton(x: Float[Tensor, " x"], t: float, *, speed: float, centre: float) -> Float[Tensor, " x"]:
    """u_t + 6 u u_x + u_xxx = 0: (c / 2) sech^2(sqrt(c) (x - x_0 - c t) / 2)."""
    return speed / 2 / torch.cosh(math.sqrt(speed) / 2 * (x - centre - speed * t)) ** 2


def kdv_two_solitons(
    x: Float[Tensor, " x"], t: float, *, speeds: tuple[float, float], centres: tuple[float, float]
) -> Float[Tensor, " x"]:
    """2 (log tau)_xx with tau = 1 + e^a + e^b + ((p - q) / (p + q))^2 e^(a + b), a = p (x - x_1) - p^3 t, b alike.

    Far before and after they meet, two solitons of speeds p^2 and q^2. Source: Hirota (1971), Phys. Rev. Lett. 27.
    """
    p, q = (math.sqrt(c) for c in speeds)
    a, b = (k * (x - centre) - k**3 * t for k, centre in zip((p, q), centres, strict=True))
    exponents = torch.stack([torch.zeros_like(x), a, b, a + b + 2 * math.log(abs(p - q) / (p + q))])
    slopes = torch.tensor([0.0, p, q, p + q], dtype=x.dtype)[:, None]
    # (log sum exp)_xx is the variance of the slopes under the weights.
    w = torch.softmax(exponents, dim=0)
    return 2 * ((w * slopes**2).sum(dim=0) - (w * slopes).sum(dim=0) ** 2)


def schroedinger_soliton(
    x: Float[Tensor, " x"], t: float, *, amplitude: float, speed: float, focusing: float, centre: float
) -> Float[Tensor, "2 x"]:
    """i psi_t + psi_xx / 2 + g |psi|^2 psi = 0, real and imaginary part.

    A sech(A sqrt(g) (y - s t)) e^(i (s y + (A^2 g - s^2) t / 2)) with y = x - x_0.
    """
    y = x - centre
    envelope = amplitude / torch.cosh(amplitude * math.sqrt(focusing) * (y - speed * t))
    phase = speed * y + (amplitude**2 * focusing - speed**2) * t / 2
    return torch.stack([envelope * torch.cos(phase), envelope * torch.sin(phase)])


def travelling_front(x: Float[Tensor, " x"], t: float, *, centre: float) -> Float[Tensor, " x"]:
    """u_t = u_xx + u (1 - u): 1 / (1 + exp((x - x_0 - 5 t / sqrt(6)) / sqrt(6)))^2.

    Source: Ablowitz and Zeppetella (1979), Bull. Math. Biol. 41.
    """
    return torch.sigmoid(-(x - centre - 5 / math.sqrt(6) * t) / math.sqrt(6)) ** 2
