"""Neural spectral method: an operator from coefficients to coefficients."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from duhamel.fields import Boundary, Grid, Parameters, Problem, State
from duhamel.operators.base import Operator
from duhamel.operators.conditioning import Concatenation, Conditioning
from duhamel.operators.spectral_basis import (
    Basis,
    Chebyshev,
    Expansion,
    Fourier,
    Points,
    along,
    analysis,
    synthesis,
)

# Channels last: every product below is then one call on memory as it lies.
Hidden = Float[Tensor, "batch *mode channel"]


class CoefficientMixing(nn.Module):
    """c_k -> R_k c_k with a real matrix of its own for every coefficient; channels last."""

    def __init__(self, width: int, modes: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(*modes, width, width) / width**2)

    def forward(self, v: Hidden) -> Hidden:
        stacked = v.flatten(1, -2).transpose(0, 1)
        return torch.bmm(stacked, self.weight.flatten(0, -3).to(v.dtype)).transpose(0, 1).reshape(v.shape)


class NSM(Operator):
    """Coefficients of the data (coefficients and coordinates, or the initial state) to coefficients of the solution.

    Pointwise maps act on the channels of each coefficient, the activation on values at the nodes of the bases. Periodic
    axes carry a Fourier basis, all others and time a Chebyshev one. An evolution problem is solved on the whole of
    [0, dt] at once: `solution` gives every time, `forward` the last.

    Conditions are met exactly: u = u0 + s t N at an initial state, u = s N prod sin(pi x_i) over Dirichlet axes, no
    mean (or u(0) = 0 where `pinned`) where a stationary problem has periodic axes alone. Nothing depends on the grid of
    the data or of the answer as long as the former resolves the data.

    Works in physical units: its surrogate takes an identity normaliser. Trained without data by
    `duhamel.training.spectral_residual`.

    modes: coefficients an axis of space; odd on periodic axes. time_modes: of time.
    scale: s, small for a stable start.
    Source: Du, Chalapathi and Krishnapriyan (2024), Neural Spectral Methods, ICLR, section 3.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        modes: int | Sequence[int] = 31,
        time_modes: int = 16,
        width: int = 64,
        n_layers: int = 4,
        scale: float = 1e-3,
        pinned: bool = False,
        conditioning: Conditioning = Concatenation(),
    ) -> None:
        super().__init__(problem)
        grid = problem.grid
        counts = (modes,) * grid.ndim if isinstance(modes, int) else tuple(modes)
        if len(counts) != grid.ndim or min(*counts, width, n_layers, time_modes) < 1 or scale <= 0:
            raise ValueError(
                f"modes {counts} for {grid.ndim} axes, width {width}, n_layers {n_layers}, time_modes {time_modes} and "
                f"scale {scale} must be positive"
            )
        if unmet := {b for b in grid.boundary if b not in (Boundary.PERIODIC, Boundary.DIRICHLET)}:
            raise ValueError(
                f"NSM meets periodic and zero Dirichlet conditions exactly, not {', '.join(sorted(unmet))}"
            )
        if not problem.steady and Boundary.DIRICHLET in grid.boundary:
            raise ValueError("an evolution with Dirichlet axes needs an initial state in the span of sines: not built")
        if pinned and not (problem.steady and all(grid.periodic)):
            raise ValueError("pinned fixes the free constant of a stationary problem on periodic axes; here is none")
        self.trained_grid = grid
        self.space: tuple[Basis, ...] = tuple(
            Fourier(n) if periodic else Chebyshev(n) for n, periodic in zip(counts, grid.periodic, strict=True)
        )
        self.bases: tuple[Basis, ...] = self.space if problem.steady else (Chebyshev(time_modes), *self.space)
        self.scale, self.pinned = scale, pinned
        self.conditioning = conditioning.bind(problem, state=not problem.steady)
        shape = tuple(basis.n for basis in self.bases)
        n_in, wide = self.conditioning.n_inputs + len(self.bases), 4 * width
        self.lifting = nn.ModuleList([nn.Linear(n_in, wide), nn.Linear(wide, width)])
        self.mixings = nn.ModuleList(CoefficientMixing(width, shape) for _ in range(n_layers))
        self.skips = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers))
        self.modulations = nn.ModuleList(self.conditioning.modulation(width) for _ in range(n_layers))
        self.projection = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, wide)])
        self.last = nn.Linear(wide, self.conditioning.n_outputs)
        for layer in (*self.lifting, *self.skips, *self.projection, self.last):
            # A bias on coefficients is a spike at the origin: random ones would bury the data.
            nn.init.zeros_(layer.bias)
            nn.init.normal_(layer.weight, std=layer.weight.shape[1] ** -0.5)

    def forward(self, u: State, params: Parameters) -> State:
        x = self.points(self.grid_of(u))
        if self.problem.steady:
            return self.expansion(u, params).at(x)
        with torch.autocast(u.device.type, enabled=False):
            # What u holds beyond the modes is no part of the solution, and would be kept for ever; mostly rounding.
            beyond = u - Expansion.fitted(u, self.space, x).at(x)
        return self.scale * self._free(u, params).at([torch.ones(1), *x]).squeeze(2) - beyond

    def solution(
        self, u: State, params: Parameters, times: Points, grid: Grid | None = None
    ) -> Float[Tensor, "batch time channel *target"]:
        """States of an evolution at any times in [0, dt] after u, on any grid of the domain."""
        target = self.points(grid or self.grid_of(u))
        return self.expansion(u, params).at([times / self.problem.dt, *target]).transpose(1, 2)

    def expansion(self, u: State, params: Parameters) -> Expansion:
        """The solution over the unit box (time first, where there is time), all conditions met."""
        free = self._free(u, params)
        if not self.problem.steady:
            # s t N in coefficients: t = (1 + T_1) / 2 raises the degree by one, so the product is taken at the nodes.
            t = self.bases[0].nodes().to(u)
            values = free.at([None] * len(self.bases)) * t.reshape(-1, *(1,) * len(self.space))
            grown = Expansion.fitted(self.scale * values, self.bases, [None] * len(self.bases))
            initial = Expansion.fitted(u, self.space, self.points(self.grid_of(u))).coefficients
            constant = F.pad(initial.unsqueeze(2), (*(0, 0) * len(self.space), 0, self.bases[0].n - 1))
            return Expansion(grown.coefficients + constant, self.bases)
        return self._steady(free)

    def _steady(self, free: Expansion) -> Expansion:
        v = self.scale * free.coefficients
        nodes = [None] * len(self.bases)
        if not all(isinstance(basis, Fourier) for basis in self.bases):
            values = Expansion(v, self.bases).at(nodes)
            for axis, basis in enumerate(self.bases, start=2):
                if isinstance(basis, Chebyshev):
                    mollifier = torch.sin(math.pi * basis.nodes())
                    # The last node is 1 up to rounding of pi.
                    mollifier[-1] = 0.0
                    values = values * mollifier.to(v).reshape(-1, *(1,) * (v.ndim - axis - 1))
            return Expansion.fitted(values, self.bases, nodes)
        if self.pinned:
            origin = Expansion(v, self.bases).at([torch.zeros(1)] * len(self.bases))
        else:
            origin = v
            for axis in range(2, v.ndim):
                origin = origin.narrow(axis, 0, 1)
        return Expansion(v - F.pad(origin, [w for n in reversed(v.shape[2:]) for w in (0, n - 1)]), self.bases)

    def _free(self, u: State, params: Parameters) -> Expansion:
        """N: what the network says before any condition is met."""
        data = self.conditioning.encode(u, params)
        v = Expansion.fitted(data, self.space, self.points(self.grid_of(u))).coefficients
        if not self.problem.steady:
            v = F.pad(v.unsqueeze(2), (*(0, 0) * len(self.space), 0, self.bases[0].n - 1))
        v = torch.cat([v, self._coordinates(v).expand(len(v), *(-1,) * (v.ndim - 1))], dim=1)
        v = v.movedim(1, -1)
        for lift in self.lifting:
            v = self._activated(lift(v))
        for mixing, skip, modulation in zip(self.mixings, self.skips, self.modulations, strict=True):
            w = (mixing(v) + skip(v)).movedim(-1, 1)
            v = self._activated(modulation(w, params).movedim(1, -1))
        for project in self.projection:
            v = self._activated(project(v))
        return Expansion(self.conditioning.decode(self.last(v).movedim(-1, 1)), self.bases)

    def _activated(self, v: Hidden) -> Hidden:
        """relu of the functions, by their values at the nodes."""
        for axis, basis in enumerate(self.bases, start=1):
            v = along(v, synthesis(basis, None, v.dtype, v.device), axis)
        v = F.relu(v)
        for axis, basis in enumerate(self.bases, start=1):
            v = along(v, analysis(basis, None, v.dtype, v.device), axis)
        return v

    def _coordinates(self, like: Float[Tensor, "batch channel *mode"]) -> Float[Tensor, "1 axis *mode"]:
        """Coefficients of each coordinate function, interpolated at the nodes."""
        nodes = [basis.nodes() for basis in self.bases]
        mesh = torch.stack(torch.meshgrid(*nodes, indexing="ij")).to(like)
        return Expansion.fitted(mesh, self.bases, [None] * len(nodes)).coefficients[None]

    def points(self, grid: Grid) -> list[Points]:
        """Where the samples of a grid lie on the unit box."""
        trained = self.trained_grid
        return [
            (x - left) / side for x, left, side in zip(grid.coordinates(), trained.origin, trained.extent, strict=True)
        ]
