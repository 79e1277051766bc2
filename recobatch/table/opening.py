"""The address of a table → the table: a folder, or a prefix in an object store."""

import hashlib
from pathlib import Path

from recobatch.addresses import Address, masked
from recobatch.errors import BadSettings
from recobatch.table.folder_store import FolderStore
from recobatch.table.table import Table

SCRATCH = Path(".recobatch") / "tables"
"""Folder, within the project, in which versions of remote tables are staged."""
_SCHEMES = ("s3", "gs", "az")


def open_table(where: str | Path, *, root: Path = Path()) -> Table:
    """Open the table at a path or URI; nothing is read or written yet.

    Args:
        where: A folder, or ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix``.
        root: Project folder, which a relative path and the staging folders of remote tables lie in.

    Raises:
        BadSettings: If the URI is not of a known object store, or the package for them is missing.
    """
    address = Address.parse(str(where))
    if not address.is_uri and not address.text.startswith(tuple(f"{scheme}:/" for scheme in _SCHEMES)):
        return Table(FolderStore(root / where))
    from recobatch.table.object_store.bucket import Bucket  # lazy: folders need none of it
    from recobatch.table.object_store.store import ObjectStore

    _check(address)
    uri = address.text.rstrip("/")
    return Table(ObjectStore(Bucket.open(uri), root / SCRATCH / hashlib.sha256(uri.encode()).hexdigest()[:16]))


def _check(address: Address) -> None:
    expected = f"one of {', '.join(f'{scheme}://' for scheme in _SCHEMES)}, a bucket and a prefix"
    if address.scheme not in _SCHEMES or not address.authority:
        shown = masked(address.text)[:140]
        raise BadSettings(f"table: found {shown!r}, expected a folder or {expected}; pass another --table")
    if "@" in address.authority or address.query or address.fragment:
        raise BadSettings(
            f"table: found a URI of {address.scheme} with more than a bucket and a prefix in it, expected {expected}; "
            f"credentials and endpoint belong into the environment"
        )
