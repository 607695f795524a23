"""Finite volumes of second order for conservation laws, in any dimension."""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid, Parameters
from duhamel.solvers.conservation_law import ConservationLaw, inside
from duhamel.solvers.transfer import CellMeans

GHOSTS = 2


class FiniteVolume:
    """A law marched over dt: MUSCL with van Leer's limiter, the law's Riemann solver, Heun's two stages (SSP).

    Each sample takes steps of its own, equal ones as far as its waves allow (step * rate <= cfl), at least `substeps`
    of them: a trajectory does not depend on what else is in the batch. Up to cfl = 1/2 a linear reconstruction keeps
    densities positive; where a pressure would still not be, fluxes are blended with first-order ones. The number of
    steps is piecewise constant in the state, so that gradients are those of the scheme.

    Axes are periodic, wall (the law's mirror image) or open (the outermost cells repeated).

    Source: van Leer (1979), J. Comput. Phys. 32; Gottlieb, Shu and Tadmor (2001), SIAM Rev. 43, eq. (4.1); Hu, Adams
    and Shu (2013), J. Comput. Phys. 242, for the blending.
    """

    order: ClassVar[int] = 2

    def __init__(self, law: ConservationLaw, grid: Grid, dt: float, *, substeps: int = 1, cfl: float = 0.45) -> None:
        require_ends(grid)
        if not 0 < cfl <= 0.5:
            raise ValueError(f"cfl must lie in (0, 1/2], got {cfl}")
        self.law = law
        self.grid = grid
        self.dt = dt
        self.substeps = substeps
        self.cfl = cfl
        self.transfer = ConservedMeans(law)

    def __call__(
        self, u: Float[Tensor, "batch channel *space"], params: Parameters
    ) -> Float[Tensor, "batch channel *space"]:
        self.law.require_params(params)
        q = self.law.conserved(u)
        left = torch.full((len(u),), self.dt, dtype=torch.float64, device=u.device)
        while bool((left > 0).any()):
            w = self.law.primitive(q, params)
            n = self._steps(w, params, left)
            step = torch.where(left > 0, left / n, 0.0)
            left = torch.where(n > 1, left - step, 0.0)
            q = self._advance(q, w, params, step.to(q).reshape(-1, *(1,) * (q.ndim - 1)))
        return self.law.stored(q)

    def _steps(
        self, w: Float[Tensor, "batch ..."], params: Parameters, left: Float[Tensor, " batch"]
    ) -> Int[Tensor, " batch"]:
        """Equal steps that the rest of dt needs at the present speeds."""
        rate = self.law.rate(w.detach(), params, self.grid).flatten(1).amax(dim=1).double()
        if not bool(rate.isfinite().all()):
            sample = int((~rate.isfinite()).nonzero()[0, 0])
            raise ValueError(f"sample {sample}: the state is not finite, or its density or pressure is not positive")
        # One part in 1e12 below the next integer is rounding of dt - step - step ...
        needed = torch.maximum(left * rate / self.cfl, left * (self.substeps / self.dt))
        return torch.ceil(needed * (1 - 1e-12)).clamp_min(1).long()

    def _advance(self, q: Tensor, w: Tensor, params: Parameters, step: Tensor) -> Tensor:
        """A step of 0 leaves a sample as it is, to the bit."""
        first = self._tendency(q, w, params, step)
        middle = q + step * first
        return q + step * (first + self._tendency(middle, self.law.primitive(middle, params), params, step)) / 2

    def _tendency(self, q: Tensor, w: Tensor, params: Parameters, step: Tensor) -> Tensor:
        padded = padded_state(w, self.grid, self.law)
        faces = [self._faces(padded, axis, params) for axis in range(self.grid.ndim)]
        total = self._divergence(faces)
        if self.law.safe_flux(w[:0], w[:0], 0) is None or bool((self.law.margins(q + step * total) > 0).all()):
            return total
        blended = [self._blended(q, padded, face, axis, step) for axis, face in enumerate(faces)]
        return self._divergence(blended)

    def _divergence(self, faces: "list[_Faces]") -> Tensor:
        total: Tensor | float = 0.0
        for axis, (face, h) in enumerate(zip(faces, self.grid.spacing, strict=True)):
            dim, n = 2 + axis, self.grid.shape[axis]
            total = total + (face.above.narrow(dim, 0, n) - face.below.narrow(dim, 1, n) + face.source) / h
        assert isinstance(total, Tensor)
        return total

    def _faces(self, padded: Tensor, axis: int, params: Parameters) -> "_Faces":
        dim, n = 2 + axis, self.grid.shape[axis]
        w = inside(padded, axis, GHOSTS)
        jump = torch.diff(w, dim=dim)
        slope = van_leer(jump.narrow(dim, 0, n + 2), jump.narrow(dim, 1, n + 2))
        half = self.law.limited(w, slope, dim) / 2
        centre = w.narrow(dim, 1, n + 2)
        lower, upper = centre - half, centre + half
        below, above = self.law.flux(upper.narrow(dim, 0, n + 1), lower.narrow(dim, 1, n + 1), axis)
        diffusive = self.law.diffusive_flux(padded, axis, params, self.grid)
        source = self.law.cell_source(lower.narrow(dim, 1, n), upper.narrow(dim, 1, n), axis)
        return _Faces(below + diffusive, above + diffusive, source)

    def _blended(self, q: Tensor, padded: Tensor, face: "_Faces", axis: int, step: Tensor) -> "_Faces":
        """Fluxes moved towards first order until half cells, each with one face, keep their margins.

        A cell is the mean over its 2 ndim faces of q -+ 2 ndim step / h F; margins are concave, so theirs bound its.
        """
        dim, n = 2 + axis, self.grid.shape[axis]
        w = inside(padded, axis, GHOSTS)
        safe = self.law.safe_flux(w.narrow(dim, 1, n + 1), w.narrow(dim, 2, n + 1), axis)
        assert safe is not None
        factor = 2 * self.grid.ndim * step / self.grid.spacing[axis]
        flux = face.below
        for k in range(self.law.margins(q).shape[1]):
            share = torch.ones_like(flux[:, :1])
            # Face j is the upper one of cell j - 1 and the lower one of cell j; those at the ends have one cell each.
            for first, sign in ((0, factor), (1, -factor)):
                faces = slice(first, first + n)
                low, high = (q + sign * _cut(f, dim, faces) for f in (safe, flux))
                kept, lost = (self.law.margins(state)[:, k : k + 1].detach() for state in (low, high))
                floor = 1e-3 * kept.clamp_min(0)
                theta = torch.where(lost < floor, (kept - floor) / (kept - lost), 1.0).clamp(0, 1)
                _cut(share, dim, faces).copy_(torch.minimum(_cut(share, dim, faces), theta))
            if self.grid.periodic[axis]:
                ends = torch.minimum(share.narrow(dim, 0, 1), share.narrow(dim, n, 1))
                share.narrow(dim, 0, 1).copy_(ends)
                share.narrow(dim, n, 1).copy_(ends)
            flux = safe + share * (flux - safe)
        return _Faces(flux, flux, face.source)


class ConservedMeans(CellMeans):
    """Coarsened by means of what the law conserves; refined by repetition."""

    def __init__(self, law: ConservationLaw) -> None:
        self.law = law

    def restrict(
        self, u: Float[Tensor, "batch channel *space"], fine: Grid, grid: Grid
    ) -> Float[Tensor, "batch channel *coarse"]:
        return u if fine == grid else self.law.stored(super().restrict(self.law.conserved(u), fine, grid))


class _Faces(NamedTuple):
    """Fluxes through the n + 1 faces of an axis as the cells below and above see them; h times the source of cells."""

    below: Tensor
    above: Tensor
    source: Tensor | float


def van_leer(a: Float[Tensor, "batch ..."], b: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
    """2 a b / (a + b) where the two jumps agree in sign, else 0: smooth, and second order away from extrema."""
    product = a * b
    agree = product > 0
    return torch.where(agree, 2 * product / torch.where(agree, a + b, 1.0), 0.0)


def padded_state(w: Float[Tensor, "batch ..."], grid: Grid, law: ConservationLaw) -> Float[Tensor, "batch ..."]:
    """With `GHOSTS` ghost cells at both ends of every axis, corners included."""
    for axis in range(grid.ndim):
        dim, n = 2 + axis, grid.shape[axis]
        lower, upper = ENDS[grid.boundary[axis]](w, dim, n)
        if grid.boundary[axis] is Boundary.WALL:
            lower, upper = law.mirrored(lower, axis, 0), law.mirrored(upper, axis, 1)
        w = torch.cat([lower, w, upper], dim=dim)
    return w


def require_ends(grid: Grid) -> None:
    """ValueError unless the grid is cell-centred and its conditions are among those of `FiniteVolume`."""
    if grid.centring is not Centring.CELL or not set(grid.boundary) <= set(ENDS):
        raise ValueError(
            f"finite volumes need a cell-centred grid with {' or '.join(ENDS)} axes, got {grid.centring!s}-centred "
            f"with boundary {[str(b) for b in grid.boundary]}"
        )


def _periodic(w: Tensor, dim: int, n: int) -> tuple[Tensor, Tensor]:
    return w.narrow(dim, n - GHOSTS, GHOSTS), w.narrow(dim, 0, GHOSTS)


def _open(w: Tensor, dim: int, n: int) -> tuple[Tensor, Tensor]:
    first, last = w.narrow(dim, 0, 1), w.narrow(dim, n - 1, 1)
    return torch.cat([first] * GHOSTS, dim=dim), torch.cat([last] * GHOSTS, dim=dim)


def _wall(w: Tensor, dim: int, n: int) -> tuple[Tensor, Tensor]:
    return w.narrow(dim, 0, GHOSTS).flip(dim), w.narrow(dim, n - GHOSTS, GHOSTS).flip(dim)


ENDS: dict[Boundary, Callable[[Tensor, int, int], tuple[Tensor, Tensor]]] = {
    Boundary.PERIODIC: _periodic,
    Boundary.WALL: _wall,
    Boundary.OPEN: _open,
}


def _cut(u: Tensor, dim: int, part: slice) -> Tensor:
    return u.narrow(dim, part.start, part.stop - part.start)
