"""Loggers that a training can do without."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only


class Forgiving(Logger):
    """Passes everything to another logger until that fails; then says so once and does without it.

    make: makes the logger, with its connection, when there is first something to log.
    """

    def __init__(self, make: Callable[[], Logger]) -> None:
        super().__init__()
        self._make = make
        self._inner: Logger | None = None
        self._failed = False

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def _attempt(self, action: Callable[[Logger], object]) -> None:
        if self._failed:
            return
        try:
            if self._inner is None:
                self._inner = self._make()
            action(self._inner)
        except Exception as error:  # whatever it is: the training matters more
            self._failed = True
            name = type(self._inner or self).__name__
            warnings.warn(f"{name} failed and is left out from here on: {error!r:.300}", stacklevel=3)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self._attempt(lambda inner: inner.log_metrics(dict(metrics), step))

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        self._attempt(lambda inner: inner.log_hyperparams(*args, **kwargs))

    def save(self) -> None:
        if self._inner is not None:
            self._attempt(lambda inner: inner.save())

    def finalize(self, status: str) -> None:
        if self._inner is not None:
            self._attempt(lambda inner: inner.finalize(status))
