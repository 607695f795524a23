"""The classical Runge-Kutta step."""

from collections.abc import Callable

from torch import Tensor


def runge_kutta_step(tendency: Callable[[Tensor], Tensor], u: Tensor, h: float) -> Tensor:
    """One step h of u_t = tendency(u), of order 4.

    >>> import torch
    >>> float(runge_kutta_step(lambda u: -u, torch.ones(()), 0.5))
    0.6067708134651184
    """
    k1 = tendency(u)
    k2 = tendency(u + h / 2 * k1)
    k3 = tendency(u + h / 2 * k2)
    k4 = tendency(u + h * k3)
    return u + h / 6 * (k1 + 2 * (k2 + k3) + k4)
