"""Learned solution operators of partial differential equations that engineers and scientists can trust."""

from duhamel.operators.surrogate import Surrogate, load
from duhamel.version import __version__

__all__ = ["Surrogate", "__version__", "load"]
