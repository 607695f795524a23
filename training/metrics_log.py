"""metrics.csv: one table of a training, without a row lost or doubled however often it was resumed."""

import csv
import os
import warnings
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only


class MetricsCSV(Logger):
    """Appends rows of metrics to `save_dir`/metrics.csv, flushed every `flush_every` rows and by `save`.

    A checkpoint notes how many rows precede it; a run that goes on from it drops the rows after, which it will write
    again. A new metric adds a column: the file is then written anew and takes the old one's place at once.
    """

    def __init__(self, save_dir: str, *, flush_every: int = 20) -> None:
        super().__init__()
        self.path = Path(save_dir) / "metrics.csv"
        self.flush_every = flush_every
        self.n_rows = 0
        self._columns: list[str] = []
        self._pending: list[dict[str, Any]] = []

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def begin(self, n_rows: int | None) -> None:
        """Keeps the first n_rows of the file, all that precede a checkpoint; none where there was no checkpoint."""
        rows = self._read()[:n_rows] if n_rows else []
        if n_rows and len(rows) < n_rows:
            held = f"{len(rows)} of the {n_rows} rows written before the checkpoint"
            warnings.warn(f"{self.path} holds {held}", stacklevel=2)
        self._columns = sorted({name for row in rows for name in row})
        self._pending, self.n_rows = [], len(rows)
        self._rewrite(rows)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """config.yaml holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        self._pending.append({**{name: float(value) for name, value in metrics.items()}, "step": step})
        self.n_rows += 1
        if len(self._pending) >= self.flush_every:
            self.save()

    @rank_zero_only
    def save(self) -> None:
        """Everything logged so far is in the file."""
        if not self._pending:
            return
        rows, self._pending = self._pending, []
        columns = sorted({*self._columns, *(name for row in rows for name in row)})
        if columns != self._columns or not self.path.exists():
            self._columns = columns
            self._rewrite([*self._read(), *rows])
            return
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerows(rows)
            file.flush()
            os.fsync(file.fileno())

    def finalize(self, status: str) -> None:
        self.save()

    def _read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f".{self.path.name}.partial")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            if self._columns:
                writer.writeheader()
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.path)
