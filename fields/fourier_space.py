"""Fourier coefficients of states: the space in which semilinear equations and their solvers compute."""

import functools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from duhamel.fields.grid import Grid
from duhamel.fields.spectral import derivative_symbol, require_periodic, resolved_modes


@dataclass(frozen=True)
class FourierSpace:
    """Coefficients of real channels over the space axes of a periodic grid, the last axis halved as by `rfft`.

    truncated: where there are several axes, hold only the columns of the last one that the 2/3 rule keeps, which makes
        fewer transforms along the others. Other modes that the rule drops are held; `kept` says which they are.
    """

    grid: Grid
    truncated: bool = False

    def __post_init__(self) -> None:
        require_periodic(self.grid)

    @property
    def _others(self) -> tuple[int, ...]:
        return tuple(range(-self.grid.ndim, -1))

    def modes(self, u: Float[Tensor, "batch channel *space"]) -> Complex[Tensor, "batch channel *mode"]:
        v = self._held(torch.fft.rfft(u))
        return torch.fft.fftn(v, dim=self._others) if self._others else v

    def samples(self, v: Complex[Tensor, "batch channel *mode"]) -> Float[Tensor, "batch channel *space"]:
        v = torch.fft.ifftn(v, dim=self._others) if self._others else v
        # Padded here: left to irfft, that alone takes twice the time of the transform.
        return torch.fft.irfft(self.pad(v), n=self.grid.shape[-1])

    def partial(
        self, axis: int, v: Complex[Tensor, "batch channel *mode"], *, scale: float = 1.0
    ) -> Complex[Tensor, "batch channel *mode"]:
        """Coefficients of `scale` times the derivative along one axis."""
        return _derivative(self, axis, scale, v.dtype, v.device) * v

    def slope(
        self, axis: int, u: Float[Tensor, "batch channel *space"], *, scale: float = 1.0
    ) -> Complex[Tensor, "batch channel *mode"]:
        """Coefficients of `scale` times the derivative along one axis of what has the samples u."""
        v = self.modes(u)
        return v.mul_(_derivative(self, axis, scale, v.dtype, v.device))

    def square(self, v: Complex[Tensor, "batch channel *mode"]) -> Float[Tensor, "batch channel *space"]:
        """Samples of the square of each channel."""
        u = self.samples(v)
        return u.square() if u.requires_grad else u.square_()

    def derivative(self, axis: int, *, order: int = 1, device: torch.device | str = "cpu") -> Complex[Tensor, "*mode"]:
        """(i k)^order along one axis, in complex128."""
        symbol = derivative_symbol(self.grid, axis, order=order, device=device)
        return self._held(symbol) if axis == self.grid.ndim - 1 else symbol

    def laplacian(self, *, device: torch.device | str = "cpu") -> Float[Tensor, "*mode"]:
        """-|k|^2, in float64."""
        total = torch.zeros((), dtype=torch.float64, device=device)
        for axis in range(self.grid.ndim):
            total = total + self.derivative(axis, order=2, device=device).real
        return total

    def kept(self, *, fraction: float = 1.0, device: torch.device | str = "cpu") -> Bool[Tensor, "*mode"]:
        """The modes that are held below `fraction` of the 2/3 rule's cut, |j| < fraction * n / 3 along every axis."""
        return self._held(resolved_modes(self.grid, fraction=fraction, device=device))

    def tail(self, v: Complex[Tensor, "batch channel *mode"], *, fraction: float = 0.9) -> Float[Tensor, " batch"]:
        """max |v| over the modes past 0.9 of the 2/3 rule's cut, relative to max |v| over all modes.

        Follows the spatial error of a pseudo-spectral solution within about one order of magnitude. Zero for a zero
        state.
        """
        # Squares: the modulus of a complex number costs five times as much.
        square = v.real.square() + v.imag.square()
        tail = square.masked_fill(self.kept(fraction=fraction, device=v.device), 0).flatten(1).amax(dim=1)
        return (tail / square.flatten(1).amax(dim=1).clamp_min(torch.finfo(tail.dtype).tiny)).sqrt()

    def truncate(self, v: Complex[Tensor, "batch channel *mode"]) -> Complex[Tensor, "batch channel *held"]:
        """Of the coefficients over all columns, those that are held, zero where the 2/3 rule drops them."""
        held = self._held(v)
        return torch.where(self.kept(device=v.device), held, 0)

    def moved(
        self, v: Complex[Tensor, "batch channel *mode"], target: "FourierSpace"
    ) -> Complex[Tensor, "batch channel *other"]:
        """Coefficients in another space over the same domain; modes that it does not hold are dropped."""
        for dim, n, m in zip(self._others, self.grid.shape, target.grid.shape, strict=False):
            v = _refitted(v, dim, n, m)
        n, m = self.grid.shape[-1], target.grid.shape[-1]
        if m > n and v.shape[-1] == n // 2 + 1:
            v = _halved(v, -1, n)
        missing = target._held(torch.empty(m // 2 + 1)).shape[-1] - v.shape[-1]
        v = torch.nn.functional.pad(v, (0, missing))  # a negative number cuts
        v = v * (math.prod(target.grid.shape) / math.prod(self.grid.shape))
        return torch.where(target.kept(device=v.device), v, 0) if target.truncated else v

    def pad(self, v: Complex[Tensor, "batch channel *held"]) -> Complex[Tensor, "batch channel *mode"]:
        """The inverse of `truncate` for modes that the 2/3 rule keeps."""
        missing = self.grid.shape[-1] // 2 + 1 - v.shape[-1]
        return torch.nn.functional.pad(v, (0, missing)) if missing else v

    def _held(self, columns: Tensor) -> Tensor:
        return columns[..., : -(-self.grid.shape[-1] // 3)] if self.truncated and self.grid.ndim > 1 else columns


# A solver asks for it at every stage of every step.
@functools.lru_cache(maxsize=64)
@torch.inference_mode(False)
def _derivative(space: FourierSpace, axis: int, scale: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    return (scale * space.derivative(axis, device=device)).to(dtype)


class ComplexFourierSpace(FourierSpace):
    """Coefficients of one complex field whose real and imaginary parts are the two channels of a state; no axis halved.

    `truncated` saves nothing here: all columns are held.
    """

    def modes(self, u: Float[Tensor, "batch 2 *space"]) -> Complex[Tensor, "batch 1 *mode"]:
        return torch.fft.fftn(torch.complex(u[:, :1], u[:, 1:]), dim=(*self._others, -1))

    def samples(self, v: Complex[Tensor, "batch 1 *mode"]) -> Float[Tensor, "batch 2 *space"]:
        u = torch.fft.ifftn(v, dim=(*self._others, -1))
        return torch.cat([u.real, u.imag], dim=1)

    def pad(self, v: Complex[Tensor, "batch 1 *mode"]) -> Complex[Tensor, "batch 1 *mode"]:
        return v

    def moved(self, v: Complex[Tensor, "batch 1 *mode"], target: FourierSpace) -> Complex[Tensor, "batch 1 *other"]:
        for axis, (n, m) in enumerate(zip(self.grid.shape, target.grid.shape, strict=True)):
            v = _refitted(v, axis - self.grid.ndim, n, m)
        v = v * (math.prod(target.grid.shape) / math.prod(self.grid.shape))
        return torch.where(target.kept(device=v.device), v, 0) if target.truncated else v

    def derivative(self, axis: int, *, order: int = 1, device: torch.device | str = "cpu") -> Complex[Tensor, "..."]:
        """(i k)^order along one axis, in complex128; zero for the highest mode of an even axis where order is odd."""
        n = self.grid.shape[axis]
        symbol = (1j * (2 * math.pi / self.grid.extent[axis]) * _signed_modes(n, device)) ** order
        if order % 2 == 1 and n % 2 == 0:
            symbol[n // 2] = 0
        return symbol.reshape([-1 if i == axis else 1 for i in range(self.grid.ndim)])

    def kept(self, *, fraction: float = 1.0, device: torch.device | str = "cpu") -> Bool[Tensor, "*mode"]:
        kept = torch.ones((), dtype=torch.bool, device=device)
        for n in self.grid.shape:
            kept = kept[..., None] & (_signed_modes(n, device).abs() < fraction * n / 3)
        return kept

    def _held(self, columns: Tensor) -> Tensor:
        return columns


def _signed_modes(n: int, device: torch.device | str) -> Float[Tensor, " n"]:
    return torch.fft.fftfreq(n, d=1 / n, dtype=torch.float64, device=device).round()


def _halved(v: Tensor, dim: int, n: int) -> Tensor:
    """The highest mode of an even number of points is a cosine: on more points, half at each of +-n / 2."""
    factors = torch.ones(v.shape[dim], dtype=v.real.dtype, device=v.device)
    if n % 2 == 0:
        factors[n // 2] = 0.5
    return v * factors.reshape([-1 if i == dim % v.ndim else 1 for i in range(v.ndim)])


def _refitted(v: Tensor, dim: int, n: int, m: int) -> Tensor:
    """Rows of one axis, laid out for n points by `torch.fft.fft`, as they are laid out for m."""
    if m < n:
        return torch.cat([v.narrow(dim, 0, (m + 1) // 2), v.narrow(dim, n - m // 2, m // 2)], dim)
    if m == n:
        return v
    v, half = _halved(v, dim, n), n // 2
    between = list(v.shape)
    between[dim] = m - 2 * half - 1
    return torch.cat([v.narrow(dim, 0, half + 1), v.new_zeros(between), v.narrow(dim, n - half, half)], dim)
