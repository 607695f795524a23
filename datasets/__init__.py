"""HDF5 in and out: readers, windows, statistics, the data module."""

from duhamel.datasets.datamodule import HDF5DataModule
from duhamel.datasets.formats import open_source
from duhamel.datasets.schema import Source
from duhamel.datasets.windows import Windows

__all__ = ["HDF5DataModule", "Source", "Windows", "open_source"]
