"""From windows of trajectories to a surrogate: one module, steered by a curriculum."""

from duhamel.training.callbacks import AverageWeights, StopWhenNotFinite, ValidateAtEnd
from duhamel.training.module import SurrogateModule

__all__ = ["AverageWeights", "StopWhenNotFinite", "SurrogateModule", "ValidateAtEnd"]
