"""Equations: what they conserve, what their residual is, where their samples come from."""

from duhamel.pdes.advection import Advection
from duhamel.pdes.allen_cahn import AllenCahn
from duhamel.pdes.base import PDE, EvolutionPDE
from duhamel.pdes.burgers import Burgers
from duhamel.pdes.compressible import CompressibleNavierStokes, Euler
from duhamel.pdes.darcy import Darcy
from duhamel.pdes.diffusion_sorption import DiffusionSorption
from duhamel.pdes.fisher_kpp import FisherKPP
from duhamel.pdes.fitzhugh_nagumo import FitzHughNagumo
from duhamel.pdes.heat import Heat
from duhamel.pdes.helmholtz import Helmholtz
from duhamel.pdes.kdv import KdV
from duhamel.pdes.kuramoto_sivashinsky import KuramotoSivashinsky
from duhamel.pdes.lorenz96 import Lorenz96, Lorenz96TwoLevel
from duhamel.pdes.navier_stokes import NavierStokes
from duhamel.pdes.nonlinear_schroedinger import NonlinearSchroedinger
from duhamel.pdes.poisson import Poisson
from duhamel.pdes.random_flow import RandomFlow
from duhamel.pdes.sampling import Choice, Distribution, LogNormal, LogUniform, TransportedDistribution, Uniform
from duhamel.pdes.semilinear import LinearPDE, SemilinearPDE, SpectralPDE
from duhamel.pdes.shallow_water import RadialDam, ShallowWater
from duhamel.pdes.wave import Wave

EQUATIONS: dict[str, type[PDE]] = {
    pde.name: pde
    for pde in (
        Advection,
        AllenCahn,
        Burgers,
        CompressibleNavierStokes,
        Darcy,
        DiffusionSorption,
        Euler,
        FisherKPP,
        FitzHughNagumo,
        Heat,
        Helmholtz,
        KdV,
        KuramotoSivashinsky,
        Lorenz96,
        Lorenz96TwoLevel,
        NavierStokes,
        NonlinearSchroedinger,
        Poisson,
        ShallowWater,
        Wave,
    )
}

__all__ = [
    "Advection",
    "AllenCahn",
    "Burgers",
    "Choice",
    "CompressibleNavierStokes",
    "Darcy",
    "DiffusionSorption",
    "Distribution",
    "EQUATIONS",
    "Euler",
    "EvolutionPDE",
    "FisherKPP",
    "FitzHughNagumo",
    "Heat",
    "Helmholtz",
    "KdV",
    "KuramotoSivashinsky",
    "LinearPDE",
    "LogNormal",
    "LogUniform",
    "Lorenz96",
    "Lorenz96TwoLevel",
    "NavierStokes",
    "NonlinearSchroedinger",
    "PDE",
    "Poisson",
    "RadialDam",
    "RandomFlow",
    "SemilinearPDE",
    "ShallowWater",
    "SpectralPDE",
    "TransportedDistribution",
    "Uniform",
    "Wave",
]
