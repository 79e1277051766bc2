"""The address of a table → the table: a folder, or a prefix in an object store."""

import hashlib
from pathlib import Path

from recobatch.addresses import object_store_uri
from recobatch.table.folder_store import FolderStore
from recobatch.table.table import Table

SCRATCH = Path(".recobatch") / "tables"
"""Folder, within the project, for the small files of versions of remote tables that are staged."""


def open_table(where: str | Path, *, root: Path = Path()) -> Table:
    """Open the table at a path or URI; nothing is read or written yet.

    Args:
        where: A folder, or ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix``.
        root: Project folder, which a relative path and the staging folders of remote tables lie in.

    Raises:
        BadSettings: If the URI is not of a known object store, or the package for them is missing.
    """
    if (uri := object_store_uri(str(where), setting="table")) is None:
        return Table(FolderStore(root / where))
    from recobatch.storage.bucket import Bucket  # lazy: folders need none of it
    from recobatch.table.object_store.store import ObjectStore

    return Table(ObjectStore(Bucket.open(uri), root / SCRATCH / hashlib.sha256(uri.encode()).hexdigest()[:16]))
