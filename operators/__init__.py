"""Learned propagators, and the surrogate that gives them units."""

from duhamel.operators.base import Operator
from duhamel.operators.fno import FNO
from duhamel.operators.neuralop_fno import NeuralopFNO
from duhamel.operators.normaliser import Normaliser
from duhamel.operators.persistence import Persistence
from duhamel.operators.surrogate import OutsideTrainedRange, Surrogate, load

__all__ = ["FNO", "NeuralopFNO", "Normaliser", "Operator", "OutsideTrainedRange", "Persistence", "Surrogate", "load"]
