"""Equations: what they conserve, what their residual is, where their samples come from."""

from duhamel.pdes.advection import Advection
from duhamel.pdes.base import PDE, EvolutionPDE
from duhamel.pdes.burgers import Burgers
from duhamel.pdes.darcy import Darcy
from duhamel.pdes.fisher_kpp import FisherKPP
from duhamel.pdes.heat import Heat
from duhamel.pdes.kdv import KdV
from duhamel.pdes.kuramoto_sivashinsky import KuramotoSivashinsky
from duhamel.pdes.sampling import Distribution, LogNormal, LogUniform, TransportedDistribution, Uniform
from duhamel.pdes.semilinear import LinearPDE, SemilinearPDE

EQUATIONS: dict[str, type[PDE]] = {
    pde.name: pde for pde in (Advection, Burgers, Darcy, FisherKPP, Heat, KdV, KuramotoSivashinsky)
}

__all__ = [
    "EQUATIONS",
    "PDE",
    "Advection",
    "Burgers",
    "Darcy",
    "Distribution",
    "EvolutionPDE",
    "FisherKPP",
    "Heat",
    "KdV",
    "KuramotoSivashinsky",
    "LinearPDE",
    "LogNormal",
    "LogUniform",
    "SemilinearPDE",
    "TransportedDistribution",
    "Uniform",
]
