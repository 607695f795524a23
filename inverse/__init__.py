"""Parameters and fields from data: samplers over a surrogate, corrected by and judged against the reference.

Needs the extra: pip install duhamel[inverse]. `nuts` and the learned posteriors are imported from their own modules.
"""

from importlib.util import find_spec

if find_spec("arviz") is None:
    raise ModuleNotFoundError("duhamel.inverse needs its extra: pip install 'duhamel[inverse]'")

from duhamel.inverse.correction import misfit_gap, reweighted, two_level
from duhamel.inverse.delayed_acceptance import delayed_acceptance
from duhamel.inverse.ensemble_kalman import ensemble_kalman
from duhamel.inverse.gaussian import Gaussian
from duhamel.inverse.laplace import laplace, laplace_gaussian
from duhamel.inverse.map import MapEstimate, gauss_newton_map, lbfgs_map
from duhamel.inverse.model_error import ModelError, adapted, preconditioner, prior_error
from duhamel.inverse.noise import CorrelatedNoise, IndependentNoise, Noise
from duhamel.inverse.observation import FullField, Observation, PatchMeans, Points, random_places
from duhamel.inverse.pcn import PCN, pcn
from duhamel.inverse.posterior import Gate, GateFailed, Posterior, Spent
from duhamel.inverse.priors import Bump, Known, Prior
from duhamel.inverse.problem import Forward, InverseProblem
from duhamel.inverse.target import BudgetExceeded, Solves, Status, Target

__all__ = [
    "PCN",
    "BudgetExceeded",
    "Bump",
    "CorrelatedNoise",
    "Forward",
    "FullField",
    "Gate",
    "GateFailed",
    "Gaussian",
    "IndependentNoise",
    "InverseProblem",
    "Known",
    "MapEstimate",
    "ModelError",
    "Noise",
    "Observation",
    "PatchMeans",
    "Points",
    "Posterior",
    "Prior",
    "Solves",
    "Spent",
    "Status",
    "Target",
    "adapted",
    "delayed_acceptance",
    "ensemble_kalman",
    "gauss_newton_map",
    "laplace",
    "laplace_gaussian",
    "lbfgs_map",
    "misfit_gap",
    "pcn",
    "preconditioner",
    "prior_error",
    "random_places",
    "reweighted",
    "two_level",
]
