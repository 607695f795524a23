"""What is known before the data: a map from standard normals z to the initial state and parameters of a problem."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Grid, Parameters, Problem, State, TransportedField
from duhamel.pdes import TransportedDistribution


@dataclass(frozen=True)
class Known:
    """A quantity that is not inferred: one value, or that value everywhere."""

    value: float


@dataclass(frozen=True, kw_only=True)
class Bump:
    """height exp(-|x - c|^2 / (2 width^2)) with its centre c uniform in a box: a seed, or a source, to be located.

    low, high: corners of the box of c. Beyond the ends of an axis the bump goes on in its nearest images: on the other
        side where periodic, mirrored where neumann, with the opposite sign where dirichlet.
    height: a number, or the ends of a log-uniform interval.
    """

    low: Sequence[float]
    high: Sequence[float]
    width: float
    height: float | Sequence[float] = 1.0

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not all(a < b for a, b in zip(self.low, self.high, strict=True)):
            raise ValueError(f"corners must satisfy low < high along every axis, got {self.low} and {self.high}")
        ends = (self.height, self.height) if isinstance(self.height, float | int) else tuple(self.height)
        if self.width <= 0 or len(ends) != 2 or not 0 < ends[0] <= ends[1]:
            raise ValueError(f"width and height must be positive and increasing, got {self.width} and {self.height}")

    def n_coefficients(self, grid: Grid) -> int:
        if len(self.low) != grid.ndim:
            raise ValueError(f"a box of {len(self.low)} axes on a grid of {grid.ndim}")
        return grid.ndim + (not isinstance(self.height, float | int))

    def centre(self, z: Float[Tensor, "batch coefficient"]) -> Float[Tensor, "batch dim"]:
        low, high = z.new_tensor(list(self.low)), z.new_tensor(list(self.high))
        return low + (high - low) * torch.special.ndtr(z[:, : len(self.low)])

    def transport(self, z: Float[Tensor, "batch coefficient"], grid: Grid) -> Float[Tensor, "batch *space"]:
        centre = self.centre(z)
        shape = torch.ones(len(z), *(1,) * grid.ndim, dtype=z.dtype, device=z.device)
        for axis, x in enumerate(grid.coordinates(dtype=z.dtype, device=z.device)):
            line = _with_images(x, centre[:, axis : axis + 1], grid, axis, self.width)
            shape = shape * line.reshape(len(z), *(len(x) if i == axis else 1 for i in range(grid.ndim)))
        if isinstance(self.height, float | int):
            return self.height * shape
        low, high = self.height
        height = low * (high / low) ** torch.special.ndtr(z[:, -1])
        return height.reshape(-1, *(1,) * grid.ndim) * shape

    def sample(self, grid: Grid, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch *space"]:
        size, device = self.n_coefficients(grid), generator.device
        draws = [torch.randn(size, generator=generator, dtype=torch.float64, device=device) for _ in range(n_samples)]
        return self.transport(torch.stack(draws), grid)


def _with_images(
    x: Float[Tensor, " n"], c: Float[Tensor, "batch 1"], grid: Grid, axis: int, width: float
) -> Float[Tensor, "batch n"]:
    """One axis of the bump; without its images it would have a corner at the boundary."""

    def bell(centre: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch n"]:
        return torch.exp(-((x - centre) ** 2) / (2 * width**2))

    left, side = grid.origin[axis], grid.extent[axis]
    if grid.periodic[axis]:
        return bell(c) + bell(c - side) + bell(c + side)
    sign = -1.0 if grid.boundary[axis] is Boundary.DIRICHLET else 1.0
    return bell(c) + sign * (bell(2 * left - c) + bell(2 * (left + side) - c))


Part = Known | TransportedDistribution | TransportedField


class Prior:
    """z ~ N(0, I) -> (u0, params) of `problem`, on any grid of its domain.

    parts: a distribution or `Known` for each scalar and coefficient by name, and for channels that do not start from
        zero; independent of one another. Raises ValueError for a name that is missing, unknown or of the wrong kind.
    """

    def __init__(self, problem: Problem, parts: Mapping[str, Part]) -> None:
        scalars = {q.name for q in problem.scalars}
        fields = {q.name for q in (*problem.channels, *problem.coefficients)}
        required = scalars | {q.name for q in problem.coefficients}
        if not required <= set(parts) or not set(parts) <= required | fields:
            raise ValueError(
                f"a prior of {problem.equation or 'this problem'} needs {sorted(required)} and may have "
                f"{[q.name for q in problem.channels]}, got {sorted(parts)}"
            )
        self.problem = problem
        self.parts = dict(parts)
        self.slices: dict[str, slice] = {}
        start = 0
        for name, part in self.parts.items():
            # A field has all that a distribution has, and the number of its coefficients.
            if isinstance(part, TransportedField) and name not in scalars:
                size = part.n_coefficients(problem.grid)
            elif (
                isinstance(part, TransportedField)
                or not isinstance(part, Known | TransportedDistribution)
                or (name not in scalars and not isinstance(part, Known))
            ):
                wanted = "a distribution" if name in scalars else "a random field"
                raise ValueError(f"{name} needs {wanted} that is transported from normals, got {type(part).__name__}")
            else:
                size = 0 if isinstance(part, Known) else 1
            self.slices[name] = slice(start, start + size)
            start += size
        self.dim = start

    def values(self, z: Float[Tensor, "batch dim"], grid: Grid) -> dict[str, Float[Tensor, "batch *space"]]:
        """Every part in physical units: numbers "batch" for scalars, fields "batch *space" for all others."""
        if z.shape[1] != self.dim:
            raise ValueError(f"this prior takes {self.dim} coefficients, got {z.shape[1]}")
        scalars = {q.name for q in self.problem.scalars}
        found = {}
        for name, part in self.parts.items():
            own = z[:, self.slices[name]]
            if isinstance(part, Known):
                found[name] = z.new_full((len(z), *(() if name in scalars else grid.shape)), part.value)
            elif isinstance(part, TransportedField):
                found[name] = part.transport(own, grid)
            else:
                found[name] = part.transport(own[:, 0])
        return found

    def __call__(self, z: Float[Tensor, "batch dim"], grid: Grid) -> tuple[State, Parameters]:
        values = self.values(z, grid)

        def stacked(names: list[str], shape: tuple[int, ...]) -> Tensor:
            zeros = z.new_zeros(len(z), *shape)
            columns = [values.get(name, zeros) for name in names]
            return torch.stack(columns, dim=1) if columns else z.new_zeros(len(z), 0, *shape)

        problem = self.problem
        return stacked([q.name for q in problem.channels], grid.shape), Parameters(
            stacked([q.name for q in problem.scalars], ()), stacked([q.name for q in problem.coefficients], grid.shape)
        )

    def sample(self, n_samples: int, generator: torch.Generator) -> Float[Tensor, "batch dim"]:
        """z, not fields."""
        return torch.randn(n_samples, self.dim, generator=generator, dtype=torch.float64, device=generator.device)
