"""Reference numerics; importing a solver registers it for its equations."""

from duhamel.solvers.adaptive import AdaptiveETDRK4, adaptive_error
from duhamel.solvers.base import EXACT, Solver, UnresolvedError, reference_solver
from duhamel.solvers.certified import CertifiedSolution, solve_certified
from duhamel.solvers.compressible import IdealGas, ViscousGas
from duhamel.solvers.conjugate_gradients import conjugate_gradients
from duhamel.solvers.darcy import DarcyFiniteVolume, solve_darcy
from duhamel.solvers.diffusion_sorption import SuperTimeStepping
from duhamel.solvers.elliptic import EllipticSolution, solve_diffusion
from duhamel.solvers.etdrk import ETDRK4, etdrk4_coefficients
from duhamel.solvers.fast_poisson import FastPoisson, ScaledLaplacian
from duhamel.solvers.finite_volume import FiniteVolume
from duhamel.solvers.helmholtz import HelmholtzFiniteElements
from duhamel.solvers.linear import FourierExponential, WavePropagator
from duhamel.solvers.multigrid import Multigrid
from duhamel.solvers.poisson import FourierPoisson, PoissonFiniteVolume
from duhamel.solvers.reduced_basis import ReducedBasis
from duhamel.solvers.refinement import estimated_error, reference_trajectory, refined
from duhamel.solvers.runge_kutta import RungeKutta4
from duhamel.solvers.shallow_water import WaterColumn
from duhamel.solvers.tolerance import Cost, Solution, solve
from duhamel.solvers.transfer import CellMeans, PointValues, Transfer

__all__ = [
    "AdaptiveETDRK4",
    "CellMeans",
    "CertifiedSolution",
    "Cost",
    "DarcyFiniteVolume",
    "ETDRK4",
    "EXACT",
    "EllipticSolution",
    "FastPoisson",
    "FiniteVolume",
    "FourierExponential",
    "FourierPoisson",
    "HelmholtzFiniteElements",
    "IdealGas",
    "Multigrid",
    "PointValues",
    "PoissonFiniteVolume",
    "ReducedBasis",
    "RungeKutta4",
    "ScaledLaplacian",
    "Solution",
    "Solver",
    "SuperTimeStepping",
    "Transfer",
    "UnresolvedError",
    "ViscousGas",
    "WaterColumn",
    "WavePropagator",
    "adaptive_error",
    "conjugate_gradients",
    "estimated_error",
    "etdrk4_coefficients",
    "reference_solver",
    "reference_trajectory",
    "refined",
    "solve",
    "solve_certified",
    "solve_darcy",
    "solve_diffusion",
]
