"""Uniform Cartesian grids that say where their samples lie instead of leaving it to be guessed."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields.boundary import Boundary, Centring


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A uniform Cartesian grid of `len(shape)` dimensions.

    extent: side lengths of the domain, in the length unit of the PDE.
    boundary: one condition per axis.
    origin: left end of each axis; zeros where not given.
    centring: where samples lie (see `Centring`). A node-centred axis holds its left end; its right end is held only
        where the axis is not periodic (there it would repeat the left end).

    >>> from duhamel.fields import Boundary, Centring, Grid
    >>> grid = Grid(shape=(4,), extent=(1.0,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)
    >>> grid.coordinates()[0].tolist()
    [0.0, 0.25, 0.5, 0.75]
    """

    shape: tuple[int, ...]
    extent: tuple[float, ...]
    boundary: tuple[Boundary, ...]
    centring: Centring
    origin: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.origin:
            object.__setattr__(self, "origin", (0.0,) * len(self.shape))
        lengths = {len(self.shape), len(self.extent), len(self.boundary), len(self.origin)}
        if len(lengths) != 1 or not self.shape:
            raise ValueError(
                f"shape {self.shape}, extent {self.extent}, boundary {self.boundary} and origin {self.origin} "
                "must name the same number of axes, at least one"
            )
        if min(self.shape) < 2:
            raise ValueError(f"every axis needs at least 2 points, got shape {self.shape}")
        if not all(math.isfinite(side) and side > 0 for side in self.extent):
            raise ValueError(f"side lengths must be positive and finite, got {self.extent}")
        if not all(map(math.isfinite, self.origin)):
            raise ValueError(f"the origin must be finite, got {self.origin}")

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def periodic(self) -> tuple[bool, ...]:
        return tuple(b is Boundary.PERIODIC for b in self.boundary)

    @property
    def intervals(self) -> tuple[int, ...]:
        """Spacings that make the side of each axis: one less than its samples where both ends are among them."""
        return tuple(
            n if periodic or self.centring is Centring.CELL else n - 1
            for n, periodic in zip(self.shape, self.periodic, strict=True)
        )

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbours along each axis."""
        return tuple(side / n for n, side in zip(self.intervals, self.extent, strict=True))

    def coordinates(
        self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> tuple[Float[Tensor, " n"], ...]:
        """Positions of the samples along each axis, computed in float64."""
        offset = 0.5 if self.centring is Centring.CELL else 0.0
        return tuple(
            (left + h * (torch.arange(n, dtype=torch.float64) + offset)).to(device=device, dtype=dtype)
            for n, h, left in zip(self.shape, self.spacing, self.origin, strict=True)
        )

    def mesh(
        self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> Float[Tensor, "dim *space"]:
        """Coordinates of every sample, one channel an axis ("ij" order: array axis i is coordinate i)."""
        return torch.stack(torch.meshgrid(*self.coordinates(dtype=dtype, device=device), indexing="ij"))

    def with_shape(self, shape: tuple[int, ...]) -> "Grid":
        """The same domain sampled by another number of points."""
        return replace(self, shape=tuple(shape))

    def strided(self, stride: int) -> "Grid":
        """The grid of every `stride`-th sample of each axis; samples keep their positions.

        Raises ValueError where a periodic axis is not divisible by `stride`, or `stride` is not positive.
        """
        if stride < 1:
            raise ValueError(f"a stride must be positive, got {stride}")
        if stride == 1:
            return self
        for n, periodic in zip(self.shape, self.periodic, strict=True):
            if periodic and n % stride:
                raise ValueError(f"stride {stride} does not divide the {n} points of a periodic axis")
        shape = tuple(-(-n // stride) for n in self.shape)
        steps = tuple(stride * h for h in self.spacing)
        cell = self.centring is Centring.CELL
        extent = tuple(
            h * (n if periodic or cell else n - 1) for n, h, periodic in zip(shape, steps, self.periodic, strict=True)
        )
        shift = (stride - 1) / 2 if cell else 0.0
        origin = tuple(left - shift * h for left, h in zip(self.origin, self.spacing, strict=True))
        return replace(self, shape=shape, extent=extent, origin=origin)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, for cards and file headers."""
        return {
            "shape": list(self.shape),
            "extent": list(self.extent),
            "boundary": [str(b) for b in self.boundary],
            "centring": str(self.centring),
            "origin": list(self.origin),
        }

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> "Grid":
        return cls(
            shape=tuple(entries["shape"]),
            extent=tuple(entries["extent"]),
            boundary=tuple(Boundary(b) for b in entries["boundary"]),
            centring=Centring(entries["centring"]),
            origin=tuple(entries["origin"]),
        )
