"""Observed orders of the reference solvers: `python -m duhamel.benchmark.orders [EQUATION ...]`.

CPU, float64. An order is that between the two finest sizes; a solver is said to fall short where it is 0.3 below the
order it states. Exit status 1 where one does.
"""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

import duhamel.benchmark.volume_orders  # noqa: F401  (adds its cases)
from duhamel.benchmark.order_cases import CASES

SLACK = 0.3


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m duhamel.benchmark.orders", description=__doc__)
    parser.add_argument("equations", nargs="*", metavar="EQUATION", help="names of equations; all where none is given")
    chosen = parser.parse_args(arguments).equations
    known = sorted({case.equation for case in CASES})
    if unknown := sorted(set(chosen) - set(known)):
        raise ValueError(f"no order is measured of {', '.join(unknown)}; there are {', '.join(known)}")
    table = Table("equation", "solver", "against", "sizes", "errors", "states", "observed", title="observed orders")
    short = False
    for case in sorted(CASES, key=lambda case: case.equation):
        if chosen and case.equation not in chosen:
            continue
        errors = case.errors()
        orders = case.observed(errors)
        met = orders[-1] > case.order - SLACK
        short = short or not met
        table.add_row(
            case.equation, case.solver, case.against, f"{', '.join(map(str, case.sizes))} {case.unit}",
            ", ".join(f"{e:.1e}" for e in errors), f"{case.order:g}",
            ", ".join(f"{o:.2f}" for o in orders) + ("" if met else " falls short"),
        )  # fmt: skip
    Console(width=160 if not sys.stdout.isatty() else None).print(table)
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
