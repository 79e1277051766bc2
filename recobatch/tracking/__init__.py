"""The door to MLflow: runs, the registry, and an outbox for the times when the server is unreachable.

Importing this package does not import MLflow; creating a ``Tracker`` does.
"""

from recobatch.tracking.history import PastRun, has_history, require_answer
from recobatch.tracking.open_runs import OpenRuns
from recobatch.tracking.options import DatasetInfo, TrackingOptions
from recobatch.tracking.outbox import has_records
from recobatch.tracking.registry import RegisteredModel
from recobatch.tracking.run import RegisteredVersion, Status, TrackedRun
from recobatch.tracking.searches import SearchRuns
from recobatch.tracking.tracker import Alias, Tracker

__all__ = [
    "Alias",
    "DatasetInfo",
    "OpenRuns",
    "PastRun",
    "RegisteredModel",
    "RegisteredVersion",
    "SearchRuns",
    "Status",
    "TrackedRun",
    "Tracker",
    "TrackingOptions",
    "has_history",
    "has_records",
    "require_answer",
]
