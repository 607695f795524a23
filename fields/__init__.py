"""What everyone shares: grids, states, parameters, rollouts."""

from duhamel.fields.boundary import Boundary, Centring
from duhamel.fields.gaussian_field import DirichletField, GaussianField
from duhamel.fields.grid import Grid
from duhamel.fields.kernel_field import SmoothField
from duhamel.fields.length_scale import LengthScaleField
from duhamel.fields.multiscale import MultiscaleTrigonometric
from duhamel.fields.problem import Problem, Quantity
from duhamel.fields.random_fields import (
    ConstantField,
    LogisticField,
    LogNormalField,
    RandomField,
    SaturatedField,
    ThresholdedField,
    TransportedField,
    VanishingField,
)
from duhamel.fields.random_waves import PickedWaves, TruncatedFourier
from duhamel.fields.rollout import Propagator, State, first_non_finite_step, recomputed, rollout
from duhamel.fields.statistics import Moments, Statistics
from duhamel.fields.trajectory import Parameters, Trajectory
from duhamel.fields.transfer import resample
from duhamel.fields.unit_range import UnitRange

__all__ = [
    "Boundary",
    "Centring",
    "ConstantField",
    "DirichletField",
    "GaussianField",
    "Grid",
    "LengthScaleField",
    "LogNormalField",
    "LogisticField",
    "Moments",
    "MultiscaleTrigonometric",
    "Parameters",
    "PickedWaves",
    "Problem",
    "Propagator",
    "Quantity",
    "RandomField",
    "SaturatedField",
    "SmoothField",
    "State",
    "Statistics",
    "ThresholdedField",
    "Trajectory",
    "TransportedField",
    "TruncatedFourier",
    "UnitRange",
    "VanishingField",
    "first_non_finite_step",
    "recomputed",
    "resample",
    "rollout",
]
