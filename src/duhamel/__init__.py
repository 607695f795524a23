"""Learned solution operators of partial differential equations that engineers and scientists can trust."""

from duhamel.version import __version__

__all__ = ["__version__"]
