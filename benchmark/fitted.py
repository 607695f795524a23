"""Operators without gradients, such as POD regression, fitted from a data file at the start of a benchmark."""

import time
from typing import Any

from duhamel.benchmark.contenders import SURROGATE, Setting, surrogate_builder
from duhamel.benchmark.fixed_costs import of_surrogate
from duhamel.benchmark.workload import Workload
from duhamel.datasets import HDF5DataModule
from duhamel.fields import Problem
from duhamel.operators import Normaliser, Operator, Surrogate
from duhamel.operators.card import trained_range


class Fitted:
    """operator: takes a problem, and is solved for by its `fit`; one with weights to train is refused.

    data: options of `HDF5DataModule`, at least path and batch_size. The fit is timed, and counts as training.
    """

    def __init__(self, operator: Any, data: dict[str, Any], *, data_seconds: float | None = None) -> None:
        self.operator, self.data, self.data_seconds = operator, data, data_seconds

    def settings(self, name: str, work: Workload) -> list[Setting]:
        module = HDF5DataModule(**self.data)
        module.setup()
        problem: Problem = module.problem
        operator: Operator = self.operator(problem)
        if list(operator.parameters()):
            raise ValueError(
                f"benchmark.contenders.{name}: {type(operator).__name__} has weights to train; use train.py"
            )
        start = time.perf_counter()
        normaliser = Normaliser.fitted(problem, module.statistics)
        operator.fit(module.train_dataloader(), normaliser)
        seconds = time.perf_counter() - start
        surrogate = Surrogate(
            operator,
            normaliser,
            trained_range=trained_range(problem, module.statistics),
            data={"hash": module.data_hash, "provenance": module.provenance},
        )
        surrogate.add_cost({**module.amount, "training_seconds": seconds})
        stated = {"data": self.data_seconds, "training": None, "tuning": None}
        fixed = of_surrogate(surrogate.eval(), stated, where=f"benchmark.contenders.{name}")
        return [Setting(name, SURROGATE, {}, surrogate_builder(surrogate, "float32"), surrogate=surrogate, fixed=fixed)]
