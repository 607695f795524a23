"""What every learned propagator is: a map of normalised states, sized by the problem it is built for."""

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from duhamel.fields import Grid, Parameters, Problem, State, Trajectory
from duhamel.operators.normaliser import Normaliser


@dataclass(frozen=True)
class Component:
    """A choice inside an operator (how parameters enter, say) as a frozen dataclass of plain values and components.

    YAML names it by `_target_`, and a saved card writes it down in the same way.
    """


def shift_period(grid: Grid, *, halvings: int) -> int:
    """One spacing of a grid halved so often, in points: shifts by it commute with stencils on all levels.

    0, no claim, where an axis is not periodic or does not halve evenly.
    """
    period = 2**halvings
    return period if all(grid.periodic) and not any(n % period for n in grid.shape) else 0


class Operator(nn.Module, ABC):
    """A learned map (u, mu) -> G(u, mu) in normalised variables; `Surrogate` gives it units.

    `forward` returns the increment u(t + dt) - u(t) in units of the increments met in training, so that an operator
    that returns zeros is persistence; for a stationary problem it returns the normalised solution. Channel and
    parameter counts come from the `problem`, never from configuration. Constructor arguments after `problem` must be
    plain values (numbers, strings, tuples of them) or a `Component`: they are recorded, and rebuild the operator from a
    saved card.

    resolution_bound: why the operator is another map at another number of grid points; empty where it is not, that is,
        where it converges under refinement.
    shift_period: shifts along periodic axes by multiples of so many points commute with the operator; 0: no claim.
    blind: why the operator ignores the numbers among the parameters; empty where it does not, or where its
        `conditioning` says so.
    """

    resolution_bound: str = ""
    shift_period: int = 0
    blind: str = ""
    arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> "Operator":
        self = super().__new__(cls)
        if args or kwargs:  # copying makes an instance without arguments and fills it afterwards
            bound = inspect.signature(cls.__init__).bind(self, *args, **kwargs)
            bound.apply_defaults()  # a default of another version must not make another operator of a saved one
            recorded = {name: value for name, value in bound.arguments.items() if name not in ("self", "problem")}
            object.__setattr__(self, "arguments", recorded)
        return self

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem

    def on(self, grid: Grid) -> "Operator":
        """The same operator, weights shared, for states on another grid."""
        if grid == self.problem.grid:
            return self
        other = copy.copy(self)
        other.problem = self.problem.on(grid)
        return other

    def grid_of(self, u: State) -> Grid:
        """Where the samples of u lie: another number of them is another sampling of the same domain."""
        return self.problem.grid.with_shape(tuple(u.shape[2:]))

    def fit(self, windows: Iterable[Trajectory], normaliser: Normaliser) -> None:
        """Solves for what is not learned by gradients, from training windows in physical units; before any training."""

    @abstractmethod
    def forward(self, u: State, params: Parameters) -> State: ...
