"""What stages pass to each other: folders on disk, and the few figures that others need."""

from flows.outputs.models import CalibratedModel, CalibratedOn, ToScore, TrainedBatch, TrainedInterest, TrainedModel
from flows.outputs.ratings import Parts, Ratings, SideTables

__all__ = [
    "CalibratedModel",
    "CalibratedOn",
    "Parts",
    "Ratings",
    "SideTables",
    "ToScore",
    "TrainedBatch",
    "TrainedInterest",
    "TrainedModel",
]
