"""Equations: what they conserve, what their residual is, where their samples come from."""

from duhamel.pdes.advection import Advection
from duhamel.pdes.allen_cahn import AllenCahn
from duhamel.pdes.base import PDE, EvolutionPDE
from duhamel.pdes.burgers import Burgers
from duhamel.pdes.darcy import Darcy
from duhamel.pdes.fisher_kpp import FisherKPP
from duhamel.pdes.fitzhugh_nagumo import FitzHughNagumo
from duhamel.pdes.heat import Heat
from duhamel.pdes.kdv import KdV
from duhamel.pdes.kuramoto_sivashinsky import KuramotoSivashinsky
from duhamel.pdes.lorenz96 import Lorenz96, Lorenz96TwoLevel
from duhamel.pdes.navier_stokes import NavierStokes
from duhamel.pdes.nonlinear_schroedinger import NonlinearSchroedinger
from duhamel.pdes.poisson import Poisson
from duhamel.pdes.sampling import Distribution, LogNormal, LogUniform, TransportedDistribution, Uniform
from duhamel.pdes.semilinear import LinearPDE, SemilinearPDE, SpectralPDE
from duhamel.pdes.wave import Wave

EQUATIONS: dict[str, type[PDE]] = {
    pde.name: pde
    for pde in (
        Advection,
        AllenCahn,
        Burgers,
        Darcy,
        FisherKPP,
        FitzHughNagumo,
        Heat,
        KdV,
        KuramotoSivashinsky,
        Lorenz96,
        Lorenz96TwoLevel,
        NavierStokes,
        NonlinearSchroedinger,
        Poisson,
        Wave,
    )
}

__all__ = [
    "EQUATIONS",
    "PDE",
    "Advection",
    "AllenCahn",
    "Burgers",
    "Darcy",
    "Distribution",
    "EvolutionPDE",
    "FisherKPP",
    "FitzHughNagumo",
    "Heat",
    "KdV",
    "KuramotoSivashinsky",
    "LinearPDE",
    "LogNormal",
    "LogUniform",
    "Lorenz96",
    "Lorenz96TwoLevel",
    "NavierStokes",
    "NonlinearSchroedinger",
    "Poisson",
    "SemilinearPDE",
    "SpectralPDE",
    "TransportedDistribution",
    "Uniform",
    "Wave",
]
