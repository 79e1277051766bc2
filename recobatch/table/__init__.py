"""Snapshots of predictions: stage, verify, publish, roll back, retain.

table = open_table("predictions")    # or "s3://bucket/predictions"
with table.lock(holder=batch_id):
    table.clean()
    staging = table.stage(version)   # or table.resume(key): the same predictions that a dead run left unfinished
    ...                              # write each shard by staging.files.once(staging.shard_path(model, number), write)
    snapshot = staging.publish(...)  # readers see it from here on
    table.retain(keep=3)
"""

from recobatch.table.catalog import CatalogEntry
from recobatch.table.ids import published_items, published_users
from recobatch.table.manifest import FileEntry, Manifest, ModelEntry, ModelFacts
from recobatch.table.opening import open_table
from recobatch.table.options import TableOptions
from recobatch.table.overlap import mean_overlap
from recobatch.table.published import Published
from recobatch.table.resume import Unfinished
from recobatch.table.staged import StagedFiles
from recobatch.table.staging import Staging
from recobatch.table.table import Table
from recobatch.table.verify import VerifyReport

__all__ = [
    "CatalogEntry",
    "FileEntry",
    "Manifest",
    "ModelEntry",
    "ModelFacts",
    "Published",
    "StagedFiles",
    "Staging",
    "Table",
    "TableOptions",
    "Unfinished",
    "VerifyReport",
    "mean_overlap",
    "open_table",
    "published_items",
    "published_users",
]
