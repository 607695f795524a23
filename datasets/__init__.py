"""HDF5 in and out: readers, windows, statistics, the data module."""

from typing import TYPE_CHECKING, Any

from duhamel.datasets.findings import Finding, Verdict
from duhamel.datasets.formats import open_source
from duhamel.datasets.provenance import ErrorEstimate, ForeignProvenance, Provenance
from duhamel.datasets.schema import Source
from duhamel.datasets.selection import select
from duhamel.datasets.splits import Split, split_by_index
from duhamel.datasets.statistics import training_statistics
from duhamel.datasets.windows import Windows
from duhamel.datasets.writer import Writer

if TYPE_CHECKING:
    from duhamel.datasets.datamodule import HDF5DataModule
    from duhamel.datasets.fresh import FreshDataModule

__all__ = [
    "ErrorEstimate",
    "Finding",
    "ForeignProvenance",
    "FreshDataModule",
    "HDF5DataModule",
    "Provenance",
    "Source",
    "Split",
    "Verdict",
    "Windows",
    "Writer",
    "open_source",
    "select",
    "split_by_index",
    "training_statistics",
]


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import; workers, readers and writers do without it.
    if name == "HDF5DataModule":
        from duhamel.datasets.datamodule import HDF5DataModule

        return HDF5DataModule
    if name == "FreshDataModule":
        from duhamel.datasets.fresh import FreshDataModule

        return FreshDataModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
