"""Models behind UM-Bridge's HTTP interface: solvers and surrogates of any language, on any machine.

Needs the extra `um-bridge`; it is no part of the lock file, since its package requires `asyncio` from the index, a
stray copy of a module of the standard library.

Source: Seelinger et al. (2023), "UM-Bridge: Uncertainty quantification and modeling bridge", J. Open Source Softw.
8(83).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from duhamel.benchmark.contenders import Given
from duhamel.fields import Parameters, State


class UMBridge(Given):
    """A model whose inputs are the state, the numbers and the coefficient fields (those that the problem has, in this
    order, each flattened, channels first), and whose one output is the next state. Samples go one after another.

    url, model: of the server. config: passed with every call. kind and costs: as of `Given`.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        config: Mapping[str, Any] | None = None,
        kind: str = "solver",
        data_seconds: float | None = None,
        training_seconds: float | None = None,
        tuning_seconds: float | None = None,
    ) -> None:
        super().__init__(
            _Remote(url, model, dict(config or {})),
            kind=kind,
            dtype="float64",
            data_seconds=data_seconds,
            training_seconds=training_seconds,
            tuning_seconds=tuning_seconds,
        )


class _Remote:
    def __init__(self, url: str, model: str, config: dict[str, Any]) -> None:
        self.url, self.name, self.config = url, model, config
        self._model: Any = None

    def __call__(self, u: State, params: Parameters) -> State:
        if self._model is None:
            import umbridge

            self._model = umbridge.HTTPModel(self.url, self.name)
        return torch.stack([self._one(u[i], params[slice(i, i + 1)]) for i in range(len(u))])

    def _one(self, u: Tensor, params: Parameters) -> Tensor:
        inputs = [x.flatten().tolist() for x in (u, params.scalars, params.fields) if x.numel()]
        (answer,) = self._model(inputs, self.config)
        if len(answer) != u.numel():
            raise ValueError(f"{self.name} answers with {len(answer)} numbers, a state has {u.numel()}")
        return torch.tensor(answer, dtype=u.dtype, device=u.device).reshape(u.shape)
