"""What a propagator is asked to solve: named quantities, a grid and a time step."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from duhamel.fields.grid import Grid


@dataclass(frozen=True)
class Quantity:
    """A named physical quantity.

    unit: free text, "" where dimensionless.
    minimum, maximum: bounds that the physics sets (a viscosity is positive), not the range met in some data.
    """

    name: str
    unit: str = ""
    minimum: float = -math.inf
    maximum: float = math.inf

    @property
    def positive(self) -> bool:
        return self.minimum >= 0


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A family of initial (or boundary) value problems that differ in state and parameters only.

    equation: name of a PDE of `duhamel.pdes`, or "" where the equation is not known.
    channels: components of the state u.
    scalars: numbers among the parameters, in the order of `Parameters.scalars`.
    coefficients: fields among the parameters, in the order of `Parameters.fields`.
    dt: time between two states, in the time unit of the PDE; 0 for a stationary problem (`steady`).
    """

    equation: str
    channels: tuple[Quantity, ...]
    scalars: tuple[Quantity, ...]
    coefficients: tuple[Quantity, ...]
    grid: Grid
    dt: float

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError("a problem needs at least one channel")
        names = [q.name for q in (*self.channels, *self.scalars, *self.coefficients)]
        if len(set(names)) != len(names):
            raise ValueError(f"names of channels and parameters must differ, got {names}")
        if not (math.isfinite(self.dt) and self.dt >= 0):
            raise ValueError(f"dt must be finite and not negative, got {self.dt}")

    @property
    def steady(self) -> bool:
        """Stationary: the state is a guess (zeros), one propagator step is the solution."""
        return self.dt == 0

    def on(self, grid: Grid) -> "Problem":
        """The same problem on another grid."""
        return replace(self, grid=grid)

    def require_same(self, asked: "Problem", *, owner: str, asker: str) -> None:
        """Raises ValueError for another equation, dt or other quantities, or an order of them, than `asked`.

        Grids may differ. An equation that is not known ("") is not compared; dt within what single precision loses.
        owner, asker: who has this problem and who asks for the other, for the message.
        """
        for what, mine, theirs in (
            ("equation", self.equation or asked.equation, asked.equation or self.equation),
            ("channels", [q.name for q in self.channels], [q.name for q in asked.channels]),
            ("parameters", [q.name for q in self.scalars], [q.name for q in asked.scalars]),
            ("coefficients", [q.name for q in self.coefficients], [q.name for q in asked.coefficients]),
        ):
            if mine != theirs:
                raise ValueError(f"{owner}'s {what}: {mine}; {asker}'s: {theirs}")
        if not math.isclose(self.dt, asked.dt, rel_tol=1e-6):
            raise ValueError(f"{owner} steps by dt = {self.dt:g}, {asker} asks for dt = {asked.dt:g}")

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, for cards and file headers."""

        def quantities(group: tuple[Quantity, ...]) -> list[dict[str, Any]]:
            # JSON has no infinity: a bound that is absent is left out.
            return [{k: v for k, v in asdict(q).items() if v not in (math.inf, -math.inf)} for q in group]

        return {
            "equation": self.equation,
            "channels": quantities(self.channels),
            "scalars": quantities(self.scalars),
            "coefficients": quantities(self.coefficients),
            "grid": self.grid.to_dict(),
            "dt": self.dt,
        }

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> "Problem":
        return cls(
            equation=entries["equation"],
            channels=tuple(Quantity(**q) for q in entries["channels"]),
            scalars=tuple(Quantity(**q) for q in entries["scalars"]),
            coefficients=tuple(Quantity(**q) for q in entries["coefficients"]),
            grid=Grid.from_dict(entries["grid"]),
            dt=entries["dt"],
        )
