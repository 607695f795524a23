"""Equations: what they conserve, what their residual is, where their samples come from."""

from duhamel.pdes.advection import Advection
from duhamel.pdes.base import PDE, EvolutionPDE
from duhamel.pdes.burgers import Burgers
from duhamel.pdes.darcy import Darcy
from duhamel.pdes.sampling import Distribution, LogUniform, Uniform

EQUATIONS: dict[str, type[PDE]] = {pde.name: pde for pde in (Advection, Burgers, Darcy)}

__all__ = [
    "EQUATIONS",
    "PDE",
    "Advection",
    "Burgers",
    "Darcy",
    "Distribution",
    "EvolutionPDE",
    "LogUniform",
    "Uniform",
]
