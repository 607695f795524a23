"""Functions on [0, 1] as coefficients: trigonometric and Chebyshev bases, and tensor products of them.

Transforms, evaluation at any points and derivatives are small matrices, computed in float64 and kept.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

Points = Float[Tensor, " _"]
Matrix = Float[Tensor, "row column"]


@dataclass(frozen=True)
class Basis(ABC):
    """n functions b_0, ..., b_{n-1} on [0, 1], b_0 = 1."""

    n: int

    @abstractmethod
    def nodes(self) -> Points:
        """The n points at which values determine the coefficients."""

    @abstractmethod
    def evaluate(self, x: Points) -> Float[Tensor, "point mode"]:
        """b_k(x_i)."""

    @abstractmethod
    def derivative(self) -> Matrix:
        """Coefficients of the derivative from those of the function."""

    def weights(self) -> Float[Tensor, " mode"]:
        """w with sum_k w_k c_k^2 = mean of the square, in the basis's own measure: dx, or dx / (pi sqrt(x (1 - x)))."""
        w = torch.full((self.n,), 0.5, dtype=torch.float64)
        w[0] = 1.0
        return w


@dataclass(frozen=True)
class Fourier(Basis):
    """cos(2 pi k x), k = 0 .. n/2, then sin(2 pi k x), k = 1 .. (n-1)/2. Odd n: all derivatives stay in the basis."""

    def nodes(self) -> Points:
        return torch.arange(self.n, dtype=torch.float64) / self.n

    def evaluate(self, x: Points) -> Float[Tensor, "point mode"]:
        angle = 2 * math.pi * x.double()[:, None]
        return torch.cat([torch.cos(angle * self._cosines()), torch.sin(angle * self._sines())], dim=1)

    def derivative(self) -> Matrix:
        matrix = torch.zeros(self.n, self.n, dtype=torch.float64)
        k, first = self._sines().long(), self.n // 2 + 1
        rows = first + torch.arange(len(k))
        matrix[rows, k] = -2 * math.pi * self._sines()
        matrix[k, rows] = 2 * math.pi * self._sines()
        return matrix

    def wavenumbers(self) -> Float[Tensor, " mode"]:
        """2 pi k of each function, on a side of length one."""
        return 2 * math.pi * torch.cat([self._cosines(), self._sines()])

    def _cosines(self) -> Float[Tensor, " mode"]:
        return torch.arange(self.n // 2 + 1, dtype=torch.float64)

    def _sines(self) -> Float[Tensor, " mode"]:
        return torch.arange(1, (self.n + 1) // 2, dtype=torch.float64)


@dataclass(frozen=True)
class Chebyshev(Basis):
    """T_k(2 x - 1), k < n; nodes are the extrema of T_{n-1}, ends included, in ascending order: n is at least 2."""

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"a Chebyshev basis holds both ends: at least 2 functions an axis, got {self.n}")

    def nodes(self) -> Points:
        return (1 - torch.cos(math.pi * torch.arange(self.n, dtype=torch.float64) / (self.n - 1))) / 2

    def evaluate(self, x: Points) -> Float[Tensor, "point mode"]:
        # cos(k arccos) keeps all digits on [-1, 1]; rounding may have left it.
        angle = torch.arccos((2 * x.double() - 1).clamp(-1, 1))
        return torch.cos(angle[:, None] * torch.arange(self.n, dtype=torch.float64))

    def derivative(self) -> Matrix:
        k = torch.arange(self.n, dtype=torch.float64)
        # T_p' = 2 p (T_{p-1} + T_{p-3} + ...), the constant counted half, times 2 for d(2 x - 1)/dx.
        reached = (k[None, :] > k[:, None]) & ((k[None, :] - k[:, None]) % 2 == 1)
        matrix = torch.where(reached, 4 * k[None, :], 0.0)
        matrix[0] /= 2
        return matrix


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def synthesis(basis: Basis, points: tuple[float, ...] | None, dtype: torch.dtype, device: torch.device) -> Matrix:
    """Values from coefficients, at the nodes where no points are given."""
    x = basis.nodes() if points is None else torch.tensor(points, dtype=torch.float64)
    return basis.evaluate(x).to(device=device, dtype=dtype)


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def analysis(basis: Basis, points: tuple[float, ...] | None, dtype: torch.dtype, device: torch.device) -> Matrix:
    """Coefficients from values at the nodes, or those of the least-squares fit to values at at least n points.

    Raises ValueError where the points are too few to tell the functions apart.
    """
    x = basis.nodes() if points is None else torch.tensor(points, dtype=torch.float64)
    if len(x) < basis.n:
        raise ValueError(f"{type(basis).__name__}: {basis.n} coefficients cannot be found from {len(x)} samples")
    return torch.linalg.pinv(basis.evaluate(x)).to(device=device, dtype=dtype)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def derivative(basis: Basis, dtype: torch.dtype, device: torch.device) -> Matrix:
    return basis.derivative().to(device=device, dtype=dtype)


def along(v: Float[Tensor, "..."], matrix: Matrix, axis: int) -> Float[Tensor, "..."]:
    """The matrix applied to one axis of a tensor."""
    if axis == v.ndim - 1:
        return torch.matmul(v, matrix.T)
    # One product for each index before the axis, without the copies that moving the axis would make.
    lead, rest = v.shape[:axis], v.shape[axis + 1 :]
    rows = v.reshape(-1, v.shape[axis], rest.numel())
    product = torch.bmm(matrix.expand(len(rows), -1, -1), rows)
    return product.reshape(*lead, len(matrix), *rest)


@dataclass(frozen=True)
class Expansion:
    """sum_k c_k b_k over a tensor product of bases, on the unit box.

    coefficients: leading axes, then one axis a basis.
    """

    coefficients: Float[Tensor, "..."]
    bases: tuple[Basis, ...]

    def axis(self, i: int) -> int:
        return self.coefficients.ndim - len(self.bases) + i

    def at(self, points: Sequence[Points | None]) -> Float[Tensor, "..."]:
        """Values on the tensor grid of these points, one set a basis; its nodes where None."""
        v = self.coefficients
        for i, (basis, x) in enumerate(zip(self.bases, points, strict=True)):
            v = along(v, synthesis(basis, plain(x), v.dtype, v.device), self.axis(i))
        return v

    def differentiated(self, i: int, *, order: int = 1) -> "Expansion":
        """The derivative along the i-th axis of the unit box."""
        v, matrix = self.coefficients, derivative(self.bases[i], self.coefficients.dtype, self.coefficients.device)
        for _ in range(order):
            v = along(v, matrix, self.axis(i))
        return Expansion(v, self.bases)

    def sobolev(self, order: float, extent: Sequence[float]) -> "Expansion":
        """(1 - Lap)^(order/2) of the function, the Laplacian over its Fourier axes, whose lengths are `extent`.

        Its mean square is the square of the Sobolev norm of that order; of order -1 the dual norm of weak solutions.
        """
        square = torch.ones((), dtype=torch.float64)
        for basis, side in zip(self.bases, extent, strict=True):
            k = basis.wavenumbers() / side if isinstance(basis, Fourier) else torch.zeros(basis.n, dtype=torch.float64)
            square = square[..., None] + k**2
        return Expansion(self.coefficients * (square ** (order / 2)).to(self.coefficients), self.bases)

    def mean_square(self, *, weighted: bool = True) -> Float[Tensor, "..."]:
        """Parseval: the mean of the square in the bases' measures; the plain sum of squares where not `weighted`."""
        v = self.coefficients.square()
        for i, basis in reversed(list(enumerate(self.bases))):
            w = basis.weights().to(v) if weighted else torch.ones(basis.n).to(v)
            v = torch.tensordot(v, w, dims=([self.axis(i)], [0]))
        return v

    @classmethod
    def fitted(
        cls, values: Float[Tensor, "..."], bases: tuple[Basis, ...], points: Sequence[Points | None]
    ) -> "Expansion":
        """From values on the tensor grid of these points: exact for functions in the span, least squares for others."""
        first = values.ndim - len(bases)
        for i, (basis, x) in enumerate(zip(bases, points, strict=True)):
            values = along(values, analysis(basis, plain(x), values.dtype, values.device), first + i)
        return cls(values, bases)


def plain(points: Points | None) -> tuple[float, ...] | None:
    """Points as a key of the kept matrices."""
    return None if points is None else tuple(points.tolist())
