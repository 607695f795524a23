"""Fourth-order exponential time differencing for semilinear equations, pseudo-spectral in space."""

import math
from dataclasses import dataclass, fields
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from duhamel.fields import Grid, Parameters
from duhamel.fields.extension import extend, extended, restrict
from duhamel.pdes.semilinear import SemilinearPDE
from duhamel.solvers.base import Solver, UnresolvedError, reference_solver, require_step
from duhamel.solvers.remembered import Remembered
from duhamel.solvers.transfer import PointValues, Transfer

CONTOUR_POINTS = 32
# Substeps between two looks at the spectrum: it changes slowly, and a look costs as much as a tenth of a step.
LOOK_EVERY = 4


@dataclass(frozen=True)
class Coefficients:
    """With z = hL, h the step: E = exp(z), E2 = exp(z / 2), and the weights of N at the four stages.

    Stage 2: half_phi_1 = (h / 2) phi_1(z / 2). Stage 3: h phi_2(z / 2) of the second, and of the first half_phi_1 less
    that. Stage 4: 2 h phi_2(z) of the third, h (phi_1 - 2 phi_2)(z) of the first. Step: f1, f2 (twice), f3.
    """

    E: Tensor
    E2: Tensor
    a1: Tensor
    b1: Tensor
    b2: Tensor
    c1: Tensor
    c3: Tensor
    f1: Tensor
    f2: Tensor
    f3: Tensor


def etdrk4_coefficients(symbol: Tensor, h: float) -> Coefficients:
    """Coefficients of one step h for a diagonal operator L with the given symbol (float64 or complex128).

    The closed forms of phi_k(z) = (exp(z) - sum_{j < k} z^j / j!) / z^k lose all digits to cancellation where |z| is
    small: they are averaged over a circle of radius 1 around z (Kassam and Trefethen, 2005, SIAM J. Sci. Comput.
    26(4)). A real symbol has real coefficients; a complex one (odd derivatives) needs their imaginary parts, or the
    scheme drops to first order.
    """
    z = h * symbol
    phi_1, phi_2, phi_3 = (h * phi for phi in _phi(z, 3))
    half_1, half_2 = (h * phi for phi in _phi(z / 2, 2))
    return Coefficients(
        E=torch.exp(z),
        E2=torch.exp(z / 2),
        a1=half_1 / 2,
        b1=half_1 / 2 - half_2,
        b2=half_2,
        c1=phi_1 - 2 * phi_2,
        c3=2 * phi_2,
        f1=phi_1 - 3 * phi_2 + 4 * phi_3,
        f2=2 * phi_2 - 4 * phi_3,
        f3=4 * phi_3 - phi_2,
    )


def _phi(z: Tensor, n: int) -> list[Tensor]:
    """phi_1, ..., phi_n by contour means."""
    means = [torch.zeros_like(z, dtype=torch.complex128) for _ in range(n)]
    for j in range(CONTOUR_POINTS):
        angle = 2 * math.pi * (j + 0.5) / CONTOUR_POINTS
        w = z + complex(math.cos(angle), math.sin(angle))
        phi = torch.exp(w)
        for k in range(n):
            # phi_{k + 1}(w) = (phi_k(w) - 1 / k!) / w
            phi = (phi - 1 / math.factorial(k)) / w
            means[k] = means[k] + phi / CONTOUR_POINTS
    return means if z.is_complex() else [phi.real for phi in means]


class ETDRK4:
    """u_t = L u + N(u): the linear part exact, the nonlinear part of order 4 in the step dt / substeps.

    Products are dealiased by the 2/3 rule: N sees, and gives, only the modes that it keeps. The others evolve by L
    alone. Of a cubic product the rule lets aliases through that are of the size of the square of the spectral tail.
    Dirichlet and Neumann axes are solved on their odd and even extension.

    tail_bound: refuse (UnresolvedError) a solution whose spectral tail, max |v| past 0.9 of the 2/3 rule's cut over
        max |v|, exceeds it at any fourth substep or the last: no dt would make it right. In float32 the tail of
        rounding errors is allowed. math.inf turns the check off, and with it the one device synchronisation of a call.

    Source: Krogstad (2005), J. Comput. Phys. 203(1), "ETDRK4-B": the same four evaluations of N as in Cox and Matthews
    (2002), with half of their error, more or less, on Kuramoto-Sivashinsky and Korteweg-de Vries.
    """

    order: ClassVar[int] = 4
    transfer: ClassVar[Transfer] = PointValues()

    def __init__(
        self, pde: SemilinearPDE, grid: Grid, dt: float, *, substeps: int = 1, tail_bound: float = 1e-6
    ) -> None:
        pde.require_grid(grid)
        require_step(dt, substeps)
        self.pde = pde
        self.grid = grid
        self.dt = dt
        self.substeps = substeps
        self.tail_bound = tail_bound
        whole = extended(grid)
        self.full, self.space = pde.space(whole), pde.space(whole, truncated=True)
        self._coefficients = Remembered(self._new_coefficients)

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        u_hat = self.full.modes(extend(u, self.grid))
        turn, c = self._coefficients(params, u_hat)
        tail = self.full.tail(u_hat.detach())
        dropped = torch.where(self.full.kept(device=u.device), 0, u_hat * turn)
        v, later = self.advance(self.space.truncate(u_hat), params, c)
        self._require_resolved(torch.maximum(tail, later))
        return restrict(self.full.samples(dropped + self.space.pad(v)), self.grid)

    def advance(
        self, v: Complex[Tensor, "batch channel *held"], params: Parameters, c: Coefficients
    ) -> tuple[Complex[Tensor, "batch channel *held"], Float[Tensor, " batch"]]:
        """Coefficients that `space` holds after dt, and the largest of their tails on the way; `step_coefficients`
        are c."""
        x = _real(v, c)
        tail = torch.zeros(len(v), dtype=v.real.dtype, device=v.device)
        for i in range(1, self.substeps + 1):
            x = self._step(x, params, c)
            if i % LOOK_EVERY == 0 or i == self.substeps:
                # torch.maximum keeps NaN, so that a solution that blew up is refused too.
                tail = torch.maximum(tail, self.space.tail(_complex(x.detach(), c)))
        return _complex(x, c), tail

    def _step(self, v: Tensor, params: Parameters, c: Coefficients) -> Tensor:
        """In few buffers, each written again as soon as nothing needs it: of a batch they do not fit the cache."""
        N = partial(self._nonlinear, params, c)
        N_1, half, whole = N(v), c.E2 * v, c.E * v
        N_2 = N(torch.addcmul(half, c.a1, N_1))
        N_3 = N(half.addcmul_(c.b1, N_1).addcmul_(c.b2, N_2))
        after = torch.addcmul(whole, c.f1, N_1).addcmul_(c.f2, N_2).addcmul_(c.f2, N_3)
        return after.addcmul_(c.f3, N(whole.addcmul_(c.c1, N_1).addcmul_(c.c3, N_3)))

    def _nonlinear(self, params: Parameters, c: Coefficients, v: Tensor) -> Tensor:
        return _real(self.pde.nonlinear(_complex(v, c), params, self.space), c)

    def _new_coefficients(self, params: Parameters, like: Tensor) -> tuple[Tensor, Coefficients]:
        """exp(L dt) of all modes, and a step's coefficients, zero where the 2/3 rule drops modes."""
        self.pde.require_params(params)
        turn = torch.exp(self.dt * self.pde.symbol(params, self.full))
        return turn.to(like.dtype if turn.is_complex() else like.real.dtype), self.step_coefficients(params, like)

    def step_coefficients(self, params: Parameters, like: Tensor) -> Coefficients:
        """Of one substep, in the precision of `like`, zero where the 2/3 rule drops modes."""
        c = etdrk4_coefficients(self.pde.symbol(params, self.space), self.dt / self.substeps)
        kept = self.space.kept(device=like.device)
        dtype = like.dtype if c.E.is_complex() else like.real.dtype
        masked = ((kept * getattr(c, field.name)).to(dtype) for field in fields(c))
        if not c.E.is_complex():
            masked = (x.unsqueeze(-1).repeat_interleave(2, -1) for x in masked)
        return Coefficients(*masked)

    def _require_resolved(self, tail: Float[Tensor, " batch"]) -> None:
        if math.isinf(self.tail_bound):
            return
        bound = max(self.tail_bound, 16 * torch.finfo(tail.dtype).eps)
        refused = ~(tail <= bound)
        if bool(refused.any()):
            sample = int(refused.nonzero()[0, 0])
            raise UnresolvedError(
                f"sample {sample}: spectral tail {float(tail[sample]):.1e} exceeds {bound:.1e} on a grid of "
                f"shape {self.grid.shape} with step {self.dt / self.substeps:g}: the solution is not resolved. It "
                "needs a grid of more points (a larger refine); a tail of nan or near 1 from a smooth state asks for "
                "more substeps",
                float(tail[sample]),
            )


def _real(v: Complex[Tensor, "..."], c: Coefficients) -> Tensor:
    """Real coefficients multiply pairs of real numbers: half the work, and no copies in complex."""
    return v if c.E.is_complex() else torch.view_as_real(v)


def _complex(v: Tensor, c: Coefficients) -> Complex[Tensor, "..."]:
    return v if c.E.is_complex() else torch.view_as_complex(v)


@reference_solver.register
def _(pde: SemilinearPDE, grid: Grid, dt: float, *, substeps: int = 1) -> Solver:
    return ETDRK4(pde, grid, dt, substeps=substeps)
