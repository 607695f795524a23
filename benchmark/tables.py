"""The result on a terminal."""

from rich.table import Table

from duhamel.benchmark.comparison import BEST
from duhamel.benchmark.result import Result
from duhamel.benchmark.verdict import count, number, percent, seconds


def table(result: Result) -> Table:
    """Every setting with its error and its costs; of surrogates the speed-ups, equal accuracy first."""
    columns = [f"batch {b}" for b in result.batch_sizes]
    shown = Table(
        "setting", "kind", "median error", "p95", *columns, "equal accuracy", "not comparable", "break-even",
        title=f"{result.title}: seconds a sample, medians",
    )  # fmt: skip
    front = set(result.front[str(BEST)])
    own = {c.surrogate: c for c in result.comparisons if c.batch == BEST and c.at == "median"}
    for s in sorted(result.settings, key=lambda s: (s.kind != "surrogate", s.kind, s.median_error or float("inf"))):
        by_batch = {c.batch: seconds(c.median) for c in s.costs}
        compared = own.get(s.name)
        last = ["", "", ""]
        if compared is not None:
            mark = {"about": "", "at most": "<= ", "at least": ">= "}[compared.equal_accuracy.bound]
            last = [
                mark + number(compared.equal_accuracy.value),
                number(compared.naive.value),
                count(compared.break_even),
            ]
        shown.add_row(
            s.name + (" *" if s.name in front else ""), s.kind,
            s.reason or percent(s.median_error), percent(s.p95_error),
            *(by_batch.get(b, "") for b in result.batch_sizes), *last,
        )  # fmt: skip
    shown.caption = "* on the front of the solvers"
    return shown
