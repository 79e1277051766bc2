"""What stages pass to each other: folders on disk, and the few figures that others need."""

from flows.outputs.models import (
    CalibratedModel,
    CalibratedOn,
    LeftOut,
    ToScore,
    TrainedBatch,
    TrainedInterest,
    TrainedModel,
)
from flows.outputs.ratings import Parts, Ratings, SideTables

__all__ = [
    "CalibratedModel",
    "CalibratedOn",
    "LeftOut",
    "Parts",
    "Ratings",
    "SideTables",
    "ToScore",
    "TrainedBatch",
    "TrainedInterest",
    "TrainedModel",
]
