"""What everyone shares: grids, states, parameters, rollouts."""

from duhamel.fields.boundary import Boundary, Centring
from duhamel.fields.grid import Grid
from duhamel.fields.kernel_field import SmoothField
from duhamel.fields.problem import Problem, Quantity
from duhamel.fields.random_fields import (
    DirichletField,
    GaussianField,
    LengthScaleField,
    LogisticField,
    LogNormalField,
    RandomField,
    ThresholdedField,
    TransportedField,
    VanishingField,
)
from duhamel.fields.rollout import Propagator, State, first_non_finite_step, recomputed, rollout
from duhamel.fields.statistics import Moments, Statistics
from duhamel.fields.trajectory import Parameters, Trajectory
from duhamel.fields.transfer import resample

__all__ = [
    "Boundary",
    "Centring",
    "DirichletField",
    "GaussianField",
    "Grid",
    "LengthScaleField",
    "LogNormalField",
    "LogisticField",
    "Moments",
    "Parameters",
    "Problem",
    "Propagator",
    "Quantity",
    "RandomField",
    "SmoothField",
    "State",
    "Statistics",
    "ThresholdedField",
    "Trajectory",
    "TransportedField",
    "VanishingField",
    "first_non_finite_step",
    "recomputed",
    "resample",
    "rollout",
]
