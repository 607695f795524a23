"""Rows of figures of methods that infer, as tables on a terminal: one a problem, and their means."""

import math
import statistics
from typing import Any

from rich.table import Table

COLUMNS = (
    "status", "reference solves", "err", "std", "covered", "R-hat", "ESS", "solves / ESS", "ESS / s", "evaluations",
    "value",
)  # fmt: skip


def means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Over seeds, of each method; coverage over the seeds that were not refused, and how many were.

    Infinite where a seed did not reach what is counted.
    """
    found = []
    for method in dict.fromkeys(row["method"] for row in rows):
        same = [row for row in rows if row["method"] == method]
        row: dict[str, Any] = {"method": method}
        for column in COLUMNS[1:]:
            # A count that was not reached is None: it is more than any.
            values = [math.inf if r[column] is None else r[column] for r in same if column in r]
            given = [v for v in values if not math.isnan(v)]
            if values:
                row[column] = statistics.mean(given) if given else math.nan
        if "status" in same[0]:
            row["status"] = f"{sum('refused' in r['status'] for r in same)} of {len(same)} refused"
        found.append(row)
    return found


def shown(rows: list[dict[str, Any]], title: str) -> Table:
    table = Table("method", *COLUMNS, title=title)
    for row in rows:
        table.add_row(row["method"], *(_cell(row.get(column, "")) for column in COLUMNS))
    return table


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.3g}"
