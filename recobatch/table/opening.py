"""Where a table lies → the table: a folder, or a prefix in an object store."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from recobatch.addresses import is_uri, masked
from recobatch.errors import BadSettings
from recobatch.table.prediction_table import PredictionTable
from recobatch.table.resume import Unfinished
from recobatch.table.snapshots import Published
from recobatch.table.staging import Staging
from recobatch.table.verify import VerifyReport

SCRATCH = Path(".recobatch") / "tables"
"""Folder, within the project, in which the snapshots of remote tables grow."""
_SCHEMES = ("s3", "gs", "az")


class Table(Protocol):
    """What the job does with a table, wherever it lies; see ``PredictionTable``."""

    def lock(self, *, holder: str) -> AbstractContextManager[None]: ...

    def stage(self, version: str, *, shaped_by: str = "", notes: Mapping[str, Any] | None = None) -> Staging: ...

    def unfinished(self) -> Sequence[Unfinished]: ...

    def resume(self, shaped_by: str) -> Staging | None: ...

    def clean(self, *, keep: Staging | None = None, keep_unfinished: bool = False) -> Sequence[Path | str]: ...

    def retain(self, keep: int) -> list[str]: ...

    def current(self) -> Published | None: ...

    def snapshots(self) -> Sequence[Published]: ...

    def rolled_back(self) -> Sequence[Published]: ...

    def snapshot(self, version: str | None = None) -> Published: ...

    def rollback(self, version: str | None = None) -> Published: ...

    def verify(self, version: str | None = None) -> VerifyReport: ...

    def damage(self, version: str | None = None) -> list[str]: ...


def open_table(where: str | Path, *, root: Path = Path()) -> Table:
    """Open the table at a path or URI; nothing is read or written yet.

    Args:
        where: A folder, or ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix``.
        root: Project folder, which a relative path and what grows on this machine lie in.

    Raises:
        BadSettings: If the URI is not of a known object store, or the package for them is missing.
    """
    if not is_uri(str(where)) and not str(where).startswith(tuple(f"{scheme}:/" for scheme in _SCHEMES)):
        return PredictionTable(root / where)
    from recobatch.table.object_store.bucket import Bucket  # lazy: folders need none of it
    from recobatch.table.object_store.object_table import ObjectTable

    uri = _checked(str(where))
    return ObjectTable(Bucket.open(uri), root / SCRATCH / hashlib.sha256(uri.encode()).hexdigest()[:16])


def _checked(uri: str) -> str:
    parts = urlsplit(uri)
    expected = f"one of {', '.join(f'{scheme}://' for scheme in _SCHEMES)}, a bucket and a prefix"
    if parts.scheme not in _SCHEMES or not parts.netloc:
        raise BadSettings(f"table: found {masked(uri)[:140]!r}, expected a folder or {expected}; pass another --table")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise BadSettings(
            f"table: found a URI of {parts.scheme} with more than a bucket and a prefix in it, expected {expected}; "
            f"credentials and endpoint belong into the environment"
        )
    return uri.rstrip("/")
