"""What a saved surrogate says about itself: JSON in the header of its file, checked when read."""

import importlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from duhamel.fields import Problem, Statistics
from duhamel.operators.base import Component, Operator
from duhamel.version import __version__

FORMAT = 1
PACKAGE = "duhamel.operators"


@dataclass(frozen=True, kw_only=True)
class Card:
    """Origin and limits of a surrogate.

    operator: `_target_` (a class of `duhamel.operators`) and its constructor arguments.
    trained_range: least and greatest value of each scalar, coefficient and channel in the training split.
    metrics: test metrics, as in metrics.json; null where one is not finite, as where a rollout diverged.
    data: what is known about the training data (hash, files, numerical error of the reference), and under `cost` how
        many trajectories there are and how long the training took (null where it was resumed).
    """

    problem: dict[str, Any]
    operator: dict[str, Any]
    trained_range: dict[str, tuple[float, float]]
    metrics: dict[str, float | None] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    version: str = __version__
    format: int = FORMAT

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str, *, path: str) -> "Card":
        """Raises ValueError, naming `path`, where the text is not a card of this format."""
        try:
            entries = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}: the header holds no readable card ({error})") from error
        expected = set(cls.__dataclass_fields__)
        if not isinstance(entries, dict) or set(entries) != expected:
            found = sorted(entries) if isinstance(entries, dict) else type(entries).__name__
            raise ValueError(f"{path}: a card holds {sorted(expected)}, found {found}")
        if entries["format"] != FORMAT:
            raise ValueError(f"{path}: card format {entries['format']}, this version reads format {FORMAT}")
        ranges = {name: (float(low), float(high)) for name, (low, high) in entries.pop("trained_range").items()}
        return cls(trained_range=ranges, **entries)


def trained_range(problem: Problem, statistics: Statistics) -> dict[str, tuple[float, float]]:
    """Least and greatest training value of every quantity, by name."""
    groups = (
        (problem.channels, statistics.increments if problem.steady else statistics.channels),
        (problem.scalars, statistics.scalars),
        (problem.coefficients, statistics.coefficients),
    )
    return {
        q.name: (low, high)
        for quantities, moments in groups
        for q, low, high in zip(quantities, moments.minimum.tolist(), moments.maximum.tolist(), strict=True)
    }


def describe(operator: Operator) -> dict[str, Any]:
    """`_target_` and arguments from which `build` makes the operator again."""
    return {"_target_": f"{PACKAGE}.{type(operator).__name__}", **{k: _plain(v) for k, v in operator.arguments.items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        arguments = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        return {"_target_": f"{PACKAGE}.{type(value).__name__}", **arguments}
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def build(description: dict[str, Any], problem: Problem, *, path: str) -> Operator:
    """An untrained operator from its description; nothing outside `duhamel.operators` is ever looked up.

    Raises ValueError for a target that is not an exported Operator, or within it an exported Component.
    """
    operator: Operator = _made(description, Operator, problem, path=path)
    return operator


def _made(description: dict[str, Any], kind: type, *positional: Any, path: str) -> Any:
    package, _, name = str(description.get("_target_")).rpartition(".")
    module = importlib.import_module(PACKAGE)
    found = getattr(module, name, None) if package == PACKAGE and name in module.__all__ else None
    if not (isinstance(found, type) and issubclass(found, kind) and found is not kind):
        what = "operator" if kind is Operator else "component"
        article = "an" if kind is Operator else "a"
        raise ValueError(f"{path}: {what} {description.get('_target_')!r} is not {article} {what} of {PACKAGE}")
    arguments = {key: _rebuilt(value, path) for key, value in description.items() if key != "_target_"}
    try:
        return found(*positional, **arguments)
    except TypeError as error:
        raise ValueError(f"{path}: {name} does not take the arguments of the card ({error})") from error


def _rebuilt(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        return _made(value, Component, path=path)
    return tuple(_rebuilt(v, path) for v in value) if isinstance(value, list) else value
