"""A finished staging folder → objects under a version's own names; the manifest last."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recobatch.errors import RecobatchError
from recobatch.table.layout import MANIFEST, VERSIONS
from recobatch.table.manifest import FileEntry, Manifest
from recobatch.table.object_store.bucket import Bucket, PreconditionFailed

_AT_ONCE = 4
"""Files on their way at the same time."""


def upload(bucket: Bucket, staging: Path, manifest: Manifest) -> None:
    """Put every file of a version in place, none of them over another; readers do not look there yet.

    What an earlier attempt at the same version has put there already is kept where it is the same.

    Raises:
        RecobatchError: If the store refuses, or other content lies under one of the names.
    """
    folder = f"{VERSIONS}/{manifest.version}"
    there = bucket.sizes(folder)

    def put(entry: FileEntry) -> None:
        name = f"{folder}/{entry.path}"
        try:
            if entry.path not in there:
                bucket.upload(name, staging / entry.path)
                return
        except PreconditionFailed:
            pass  # an attempt whose answer was lost, most likely
        _require_same(bucket, name, entry)

    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        for done in [pool.submit(put, entry) for entry in manifest.files]:
            done.result()
    finally:
        pool.shutdown(cancel_futures=True)
    _put_manifest(bucket, f"{folder}/{MANIFEST}", manifest)


def _put_manifest(bucket: Bucket, name: str, manifest: Manifest) -> None:
    """A dead attempt may have come as far as the manifest; nobody was ever pointed at that one."""
    found = bucket.read(name)
    content = manifest.dump()
    try:
        bucket.write(name, content, over=found and found[1])
    except PreconditionFailed:
        found = bucket.read(name)
        if found is None or found[0] != content:
            _refuse(bucket, name)


def _require_same(bucket: Bucket, name: str, entry: FileEntry) -> None:
    digest, size = hashlib.sha256(), 0
    with bucket.open_file(name) as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
            size += len(chunk)
    if (size, digest.hexdigest()) != (entry.bytes, entry.sha256):
        _refuse(bucket, name)


def _refuse(bucket: Bucket, name: str) -> None:
    raise RecobatchError(
        f"{bucket.uri}/{name}: found other content under a name that is this run's own, expected a free name; "
        f"nothing was published, run again with --fresh"
    )
