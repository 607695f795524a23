"""What the doctor says of one check."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """`FAIL`: not fit to train on. `WARN`: fit for some purposes, read the detail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"
    SKIPPED = "not checked"


@dataclass(frozen=True)
class Finding:
    """One row of the report."""

    check: str
    verdict: Verdict
    detail: str
