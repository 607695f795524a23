"""HDF5 in and out: readers, windows, statistics, the data module."""

from typing import TYPE_CHECKING, Any

from duhamel.datasets.formats import open_source
from duhamel.datasets.schema import Source
from duhamel.datasets.windows import Windows

if TYPE_CHECKING:
    from duhamel.datasets.datamodule import HDF5DataModule

__all__ = ["HDF5DataModule", "Source", "Windows", "open_source"]


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import; workers, readers and writers do without it.
    if name == "HDF5DataModule":
        from duhamel.datasets.datamodule import HDF5DataModule

        return HDF5DataModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
