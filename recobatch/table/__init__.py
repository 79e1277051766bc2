"""Snapshots of predictions: stage, verify, publish, roll back, retain.

table = PredictionTable(Path("predictions"))
with table.lock(holder=batch_id):
    table.clean()
    staging = table.stage(version)   # or table.resume(key): what a dead run left of the same predictions
    ...                              # write shards to staging.shard_path(model, number)
    snapshot = staging.publish(...)  # readers see it from here on
    table.retain(keep=3)
"""

from recobatch.table.ids import published_items, published_users
from recobatch.table.manifest import FileEntry, Manifest, ModelEntry, ModelFacts
from recobatch.table.opening import Table, open_table
from recobatch.table.prediction_table import PredictionTable, TableOptions
from recobatch.table.resume import Unfinished, keep_report, kept_report
from recobatch.table.snapshots import Published, Snapshot
from recobatch.table.staging import Staging
from recobatch.table.verify import VerifyReport

__all__ = [
    "FileEntry",
    "Manifest",
    "ModelEntry",
    "ModelFacts",
    "PredictionTable",
    "Published",
    "Snapshot",
    "Staging",
    "Table",
    "TableOptions",
    "Unfinished",
    "VerifyReport",
    "keep_report",
    "kept_report",
    "open_table",
    "published_items",
    "published_users",
]
