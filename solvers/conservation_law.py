"""What the finite-volume scheme needs to know of a system of conservation laws."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Grid, Parameters


class ConservationLaw(ABC):
    """q_t + sum_i F_i(q)_x_i = S(q): three sets of variables, waves, and the flux between two states.

    Stored variables are those of the data; conserved ones (q) are marched; primitive ones (w) are reconstructed on
    faces and may hold further rows (a water level). All have axes "batch channel *space".
    """

    def require_params(self, params: Parameters) -> None:  # noqa: B027  (most laws have none to require)
        """ValueError where a parameter lies outside of what the physics allows."""

    @abstractmethod
    def conserved(self, u: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]: ...

    @abstractmethod
    def stored(self, q: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The inverse of `conserved`."""

    @abstractmethod
    def primitive(self, q: Float[Tensor, "batch ..."], params: Parameters) -> Float[Tensor, "batch ..."]: ...

    @abstractmethod
    def margins(self, q: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Concave functions of q that must stay positive, each where those before it are: density, pressure."""

    @abstractmethod
    def mirrored(self, w: Float[Tensor, "batch ..."], axis: int, side: int) -> Float[Tensor, "batch ..."]:
        """Ghost cells behind a wall across `axis`, at its lower (0) or upper (1) end, from the mirror image of w."""

    @abstractmethod
    def rate(self, w: Float[Tensor, "batch ..."], params: Parameters, grid: Grid) -> Float[Tensor, "batch ..."]:
        """Of each cell, an inverse time: dimension times the largest speed / h of an axis, plus that of diffusion."""

    @abstractmethod
    def flux(
        self, left: Float[Tensor, "batch ..."], right: Float[Tensor, "batch ..."], axis: int
    ) -> tuple[Float[Tensor, "batch ..."], Float[Tensor, "batch ..."]]:
        """Through the faces between two primitive states, as the cell below sees it and as the cell above does.

        The two are one, but for a source that acts on faces.
        """

    def limited(
        self, w: Float[Tensor, "batch ..."], slope: Float[Tensor, "batch ..."], dim: int
    ) -> Float[Tensor, "batch ..."]:
        """Slopes with further restrictions. w has one more cell than the slopes at both ends of `dim`."""
        return slope

    def cell_source(
        self, lower: Float[Tensor, "batch ..."], upper: Float[Tensor, "batch ..."], axis: int
    ) -> Float[Tensor, "batch ..."] | float:
        """h times the source along `axis`, from the primitive values reconstructed on the two faces of each cell."""
        return 0.0

    def diffusive_flux(
        self, padded: Float[Tensor, "batch ..."], axis: int, params: Parameters, grid: Grid
    ) -> Float[Tensor, "batch ..."] | float:
        """Through all faces across `axis`, from primitive values with ghost cells on every axis."""
        return 0.0

    def safe_flux(
        self, left: Float[Tensor, "batch ..."], right: Float[Tensor, "batch ..."], axis: int
    ) -> Float[Tensor, "batch ..."] | None:
        """A first-order flux that keeps the margins positive (Rusanov's). None where second order keeps them itself."""
        return None


def inside(padded: Float[Tensor, "batch ..."], axis: int, ghosts: int, *, reach: int = 0) -> Float[Tensor, "batch ..."]:
    """Without the ghost cells of all axes but `axis`; `reach` of them are kept."""
    for dim in range(2, padded.ndim):
        if dim != 2 + axis:
            padded = padded.narrow(dim, ghosts - reach, padded.shape[dim] - 2 * (ghosts - reach))
    return padded


def hll_speeds(
    slow_left: Float[Tensor, "batch ..."],
    fast_left: Float[Tensor, "batch ..."],
    slow_right: Float[Tensor, "batch ..."],
    fast_right: Float[Tensor, "batch ..."],
) -> tuple[Float[Tensor, "batch ..."], Float[Tensor, "batch ..."]]:
    """Bounds of the fan from those of both sides (Davis (1988), SIAM J. Sci. Stat. Comput. 9)."""
    return torch.minimum(slow_left, slow_right), torch.maximum(fast_left, fast_right)
