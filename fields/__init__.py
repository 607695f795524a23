"""What everyone shares: grids, states, parameters, rollouts."""

from duhamel.fields.boundary import Boundary, Centring
from duhamel.fields.grid import Grid
from duhamel.fields.problem import Problem, Quantity
from duhamel.fields.rollout import Propagator, State, first_non_finite_step, rollout
from duhamel.fields.statistics import Moments, Statistics
from duhamel.fields.trajectory import Parameters, Trajectory

__all__ = [
    "Boundary",
    "Centring",
    "Grid",
    "Moments",
    "Parameters",
    "Problem",
    "Propagator",
    "Quantity",
    "State",
    "Statistics",
    "Trajectory",
    "first_non_finite_step",
    "rollout",
]
