"""From windows of trajectories to a surrogate: one module, steered by a curriculum."""

from duhamel.training.callbacks import AverageWeights, StopWhenNotFinite, ValidateAtEnd
from duhamel.training.checkpoints import SealedCheckpoints
from duhamel.training.forgiving import Forgiving
from duhamel.training.metrics_log import MetricsCSV
from duhamel.training.module import SurrogateModule
from duhamel.training.progress import Progress
from duhamel.training.resume import BestModel, LastCheckpoint

__all__ = [
    "AverageWeights",
    "BestModel",
    "Forgiving",
    "LastCheckpoint",
    "MetricsCSV",
    "Progress",
    "SealedCheckpoints",
    "StopWhenNotFinite",
    "SurrogateModule",
    "ValidateAtEnd",
]
