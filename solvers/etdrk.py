"""Fourth-order exponential time differencing for semilinear equations, diagonal in Fourier coefficients."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.fields.spectral import require_periodic, spectral_tail, to_modes, to_samples

Symbol = Callable[[Parameters], Tensor]
Nonlinearity = Callable[[Tensor, Parameters], Tensor]

CONTOUR_POINTS = 32


@dataclass(frozen=True)
class Coefficients:
    """Names of Kassam and Trefethen (2005), eqs. (2.5) and (2.6), h the step: E = exp(hL), E2 = exp(hL/2), ..."""

    E: Tensor
    E2: Tensor
    Q: Tensor
    f1: Tensor
    f2: Tensor
    f3: Tensor

    def to(self, dtype: torch.dtype) -> "Coefficients":
        """In the precision of a state whose coefficients have this complex dtype; real ones stay real."""
        real = torch.empty((), dtype=dtype).real.dtype
        fields = (self.E, self.E2, self.Q, self.f1, self.f2, self.f3)
        return Coefficients(*(c.to(dtype if c.is_complex() else real) for c in fields))


def etdrk4_coefficients(symbol: Tensor, h: float) -> Coefficients:
    """Coefficients of one step h for a diagonal operator L with the given symbol (float64 or complex128).

    The closed forms lose all digits to cancellation where |hL| is small: they are averaged over a circle of radius 1
    around hL. A real symbol has real coefficients; a complex one (odd derivatives) needs their imaginary parts, or the
    scheme drops to first order.
    """
    hL = h * symbol
    Q, f1, f2, f3 = (torch.zeros_like(hL, dtype=torch.complex128) for _ in range(4))
    for j in range(CONTOUR_POINTS):
        angle = 2 * math.pi * (j + 0.5) / CONTOUR_POINTS
        z = hL + complex(math.cos(angle), math.sin(angle))
        e, cube = torch.exp(z), z**3
        Q = Q + (torch.exp(z / 2) - 1) / z
        f1 = f1 + (-4 - z + e * (4 - 3 * z + z**2)) / cube
        f2 = f2 + (2 + z + e * (z - 2)) / cube
        f3 = f3 + (-4 - 3 * z - z**2 + e * (4 - z)) / cube
    means = (h / CONTOUR_POINTS * c for c in (Q, f1, f2, f3))
    return Coefficients(torch.exp(hL), torch.exp(hL / 2), *(c if symbol.is_complex() else c.real for c in means))


class ETDRK4:
    """u_t = L u + N(u): the linear part exact, the nonlinear part of order 4 in the step dt / substeps.

    symbol: params -> L of params.scalars, in float64 or complex128, broadcast over "batch channel *mode".
    nonlinearity: (u_hat, params) -> coefficients of N(u); it does its own dealiasing.
    tail_bound: refuse (ValueError) a solution whose `spectral_tail` exceeds it at any step: no dt would make it right.
        math.inf turns the check off, and with it the one device synchronisation of a call.

    Source: Cox and Matthews (2002), J. Comput. Phys. 176, eqs. (26)-(29); Kassam and Trefethen (2005), SIAM J. Sci.
    Comput. 26(4).
    """

    order: ClassVar[int] = 4

    def __init__(
        self,
        grid: Grid,
        dt: float,
        *,
        symbol: Symbol,
        nonlinearity: Nonlinearity,
        substeps: int = 1,
        tail_bound: float = 1e-6,
    ) -> None:
        require_periodic(grid)
        self.grid = grid
        self.dt = dt
        self.symbol = symbol
        self.nonlinearity = nonlinearity
        self.substeps = substeps
        self.tail_bound = tail_bound
        self._last: tuple[Tensor, Coefficients] | None = None

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        u_hat = to_modes(u, self.grid)
        coefficients = self._coefficients(params).to(u_hat.dtype)
        tail = spectral_tail(u_hat.detach(), self.grid)
        for _ in range(self.substeps):
            u_hat = self._step(u_hat, params, coefficients)
            # torch.maximum keeps NaN, so that a solution that blew up is refused too.
            tail = torch.maximum(tail, spectral_tail(u_hat.detach(), self.grid))
        self._require_resolved(tail)
        return to_samples(u_hat, self.grid)

    def _step(
        self, v: Complex[Tensor, "batch channel *mode"], params: Parameters, c: Coefficients
    ) -> Complex[Tensor, "batch channel *mode"]:
        N_v = self.nonlinearity(v, params)
        a = c.E2 * v + c.Q * N_v
        N_a = self.nonlinearity(a, params)
        b = c.E2 * v + c.Q * N_a
        N_b = self.nonlinearity(b, params)
        N_c = self.nonlinearity(c.E2 * a + c.Q * (2 * N_b - N_v), params)
        return c.E * v + c.f1 * N_v + 2 * c.f2 * (N_a + N_b) + c.f3 * N_c

    def _coefficients(self, params: Parameters) -> Coefficients:
        """Of these parameters; kept for the next step of a rollout, unless they carry a graph of their own."""
        scalars, h = params.scalars, self.dt / self.substeps
        if scalars.requires_grad and torch.is_grad_enabled():
            return etdrk4_coefficients(self.symbol(params), h)
        if self._last is None or not _same(self._last[0], scalars):
            # Outside of inference mode: what is kept must serve later steps that do want gradients.
            with torch.inference_mode(False), torch.no_grad():
                self._last = (scalars.clone(), etdrk4_coefficients(self.symbol(params), h))
        return self._last[1]

    def _require_resolved(self, tail: Float[Tensor, " batch"]) -> None:
        if math.isinf(self.tail_bound):
            return
        refused = ~(tail <= self.tail_bound)
        if bool(refused.any()):
            sample = int(refused.nonzero()[0, 0])
            raise ValueError(
                f"sample {sample}: spectral tail {float(tail[sample]):.1e} exceeds {self.tail_bound:.1e} on a grid of "
                f"shape {self.grid.shape} with step {self.dt / self.substeps:g}: the solution is not resolved. It "
                "needs a grid of more points (a larger refine); a tail of nan or near 1 from a smooth state asks for "
                "more substeps"
            )


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)
