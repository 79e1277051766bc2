"""Unfinished folders of a table: versions that are staged, and what dead runs left of them."""

import os
import secrets
from collections.abc import Collection
from pathlib import Path

from recobatch.storage.durable import TEMPORARY, explained, fsync_file, fsync_folder, remove
from recobatch.table.layout import STAGING, TRASH


def make_staging(scratch: Path, version: str) -> Path:
    """Make an empty staging folder."""
    path = scratch / f"{STAGING}{version}-{secrets.token_hex(4)}"
    with explained("make a staging folder", path):
        path.mkdir(parents=True)
    return path


def sweep(scratch: Path, kept: Collection[Path]) -> list[Path]:
    """Remove all staging folders, half-removed snapshots and temporary files but those to keep; returns them."""
    left = [path for prefix in (STAGING, TRASH, TEMPORARY) for path in scratch.glob(f"{prefix}*") if path not in kept]
    with explained("remove what an earlier run left", scratch):
        for path in left:
            remove(path)
    return left


def fsync_snapshot(folder: Path) -> None:
    """Files first, then folders from the inside out: a name on the disk never leads to missing content.

    The shards are on the disk already: ``open_shard`` fsyncs each, beside the shards that are still computed.
    """
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.is_symlink():
            fsync_file(path)
    for inner, _, _ in os.walk(folder, topdown=False):
        fsync_folder(Path(inner))
