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


class Claims:
    """What the layers through which parameters enter say of themselves: nothing that would limit an operator.

    resolution_bound: why they are another map at another number of grid points; empty where they are not.
    commutes_with_shifts: whether shifts along periodic axes, by any number of points, commute with them.
    blind: why numbers among the parameters do not matter; empty where they do.
    idle_tensors: names of their parameter tensors that change nothing.
    """

    resolution_bound: str = ""
    commutes_with_shifts: bool = True
    blind: str = ""
    idle_tensors: frozenset[str] = frozenset()


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

    A subclass states what its own layers do in `own_resolution_bound`, `own_shift_period` and `own_blindness`. What the
    operator claims (the properties without `own`) takes in its `conditioning`, where it has one.
    """

    own_resolution_bound: str = ""
    own_shift_period: int = 0
    own_blindness: str = ""
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

    @property
    def resolution_bound(self) -> str:
        """Why the operator is another map at another number of grid points; empty where it is not, that is, where it
        converges under refinement."""
        return self.own_resolution_bound or self._claims.resolution_bound

    @property
    def shift_period(self) -> int:
        """Shifts along periodic axes by multiples of so many points commute with the operator; 0: no claim."""
        return self.own_shift_period if self._claims.commutes_with_shifts else 0

    @property
    def blind(self) -> str:
        """Why the operator ignores the numbers among the parameters; empty where it does not."""
        return self.own_blindness or self._claims.blind

    @property
    def idle_tensors(self) -> frozenset[str]:
        """Names of the parameter tensors that a published layout has although nothing depends on them."""
        return frozenset(f"conditioning.{name}" for name in self._claims.idle_tensors)

    @property
    def _claims(self) -> "Claims":
        conditioning = self._modules.get("conditioning")
        return conditioning if isinstance(conditioning, Claims) else Claims()

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
