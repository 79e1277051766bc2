"""A table in an object store: conditional writes in place of a link, a lease in place of a lock.

What the catalog does not list is not published, whatever lies there. A run that dies has published all or nothing; a
run that is late finds another catalog and loses.
"""

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from recobatch.errors import BadTable, RecobatchError
from recobatch.storage.bucket import Bucket
from recobatch.storage.durable import explained
from recobatch.storage.etag import ETag
from recobatch.storage.store_errors import PreconditionFailed
from recobatch.table.catalog import Catalog
from recobatch.table.layout import MANIFEST, MARK, MARKER, POINTER, STAGED, VERSIONS, refuse_foreign
from recobatch.table.manifest import FileEntry, Manifest
from recobatch.table.object_store.lease import LEASE, Lease
from recobatch.table.object_store.staged import (
    BucketFiles,
    check_same,
    list_unfinished,
    remember,
    remove_version,
    upload_folder,
)
from recobatch.table.resume import Unfinished
from recobatch.table.staging_folders import make_staging, sweep


class ObjectStore:
    """A ``Store`` below a URI."""

    is_remote = True

    def __init__(self, bucket: Bucket, scratch: Path) -> None:
        """Open a store; nothing is read yet.

        Args:
            bucket: Where the table lies.
            scratch: Folder on this machine for the small files of versions that are staged; for this table alone.
        """
        self.bucket = bucket
        self.scratch = scratch

    @property
    def location(self) -> str:
        return self.bucket.uri

    @property
    def key(self) -> str:
        return self.bucket.uri

    def is_table(self) -> bool:
        return self.bucket.read(MARKER) is not None

    def initialize(self) -> None:
        if not self.is_table():
            self._check_free()
            try:
                self.bucket.write(MARKER, MARK, over=None)
            except PreconditionFailed:
                return  # a rival has marked it

    @contextmanager
    def exclusive(self, holder: str) -> Iterator[Lease]:
        """Hold the table's lease, which a thread keeps renewing."""
        self.initialize()
        self._check_conditions()
        owner = os.getpid()
        lease = Lease(self.bucket, holder)
        try:
            yield lease
        finally:
            if os.getpid() == owner:
                lease.release()

    def read_catalog(self) -> tuple[Catalog, ETag | None]:
        found = self.bucket.read(POINTER)
        if found is None:
            self._check_free()
            return Catalog(), None
        try:
            catalog = Catalog.load(found[0])
            if not catalog.token:
                raise ValueError("it lists no snapshots")
        except ValueError as error:
            raise BadTable(
                f"{self.location}/{POINTER}: found no readable pointer ({error}), expected JSON as recobatch wrote it; "
                f"restore that object, or pass another --table"
            ) from error
        return catalog, found[1]

    def write_catalog(self, catalog: Catalog, *, over: ETag | None) -> ETag:
        """One conditional write; if its answer is lost, the catalog's token shows whether it took effect."""
        try:
            return self.bucket.write(POINTER, catalog.dump(), over=over)
        except PreconditionFailed:
            now, etag = self.read_catalog()
            if etag is None or now.token != catalog.token:
                raise
            return etag
        except RecobatchError as error:
            return self._settle(catalog, error)

    def _settle(self, catalog: Catalog, error: RecobatchError) -> ETag:
        try:
            now, etag = self.read_catalog()
        except RecobatchError:
            raise RecobatchError(
                f"{error}; it is not known whether version {catalog.version} is current, recobatch verify shows it; "
                f"the table is whole either way"
            ) from error
        if etag is not None and now.token == catalog.token:
            return etag
        raise RecobatchError(f"{error}; the table that stood before still stands") from error

    def versions(self) -> list[str]:
        return sorted({*self.bucket.children(VERSIONS)[0], *self.bucket.children(STAGED)[0]})

    def stage(self, version: str, shaped_by: str, notes: Mapping[str, Any]) -> BucketFiles:
        path = make_staging(self.scratch, version)
        if shaped_by:
            remember(self.bucket, version, shaped_by, notes)
        return BucketFiles(self.bucket, version, path)

    def unfinished(self) -> list[Unfinished]:
        return list_unfinished(self.bucket, self.scratch)

    def resume(self, left: Unfinished) -> BucketFiles:
        """Shards are whole or not there, so that nothing of them has to be removed."""
        return BucketFiles(self.bucket, left.version, make_staging(self.scratch, left.version))

    def sweep(self, kept: Collection[Path]) -> list[Path | str]:
        return [*sweep(self.scratch, kept)]

    def put(self, staging: Path, manifest: Manifest) -> None:
        """Upload every file of the folder under its own name, none of them over another, and the manifest last.

        The shards are there already. What an earlier attempt at the same version has uploaded is kept where it is the
        same.
        """
        there = self.sizes(manifest.version)
        for entry in manifest.files:
            if (staging / entry.path).exists():
                self._put_file(staging, manifest, entry)
            elif there.get(entry.path) != entry.bytes:
                raise RecobatchError(
                    f"{self.location}/{VERSIONS}/{manifest.version}/{entry.path}: found "
                    f"{there.get(entry.path, 'no file of')} bytes, expected {entry.bytes:,} as they were uploaded; "
                    f"nothing was published, run again"
                )
        self._put_manifest(manifest)

    def _put_file(self, staging: Path, manifest: Manifest, entry: FileEntry) -> None:
        name = f"{VERSIONS}/{manifest.version}/{entry.path}"
        try:
            self.bucket.upload(name, staging / entry.path, scratch=upload_folder(manifest.version))
        except PreconditionFailed:  # an attempt whose answer was lost, most likely
            check_same(self.bucket, name, entry.bytes, entry.sha256)

    def _put_manifest(self, manifest: Manifest) -> None:
        """Over that of a dead attempt, if there is one: no catalog ever listed it."""
        name, content = f"{VERSIONS}/{manifest.version}/{MANIFEST}", manifest.dump()
        try:
            self.bucket.replace(name, content)
        except PreconditionFailed:
            check_same(self.bucket, name, len(content), hashlib.sha256(content).hexdigest())

    def forget(self, versions: Collection[str]) -> None:
        for version in {*self.bucket.children(STAGED)[0]} & {*versions}:
            folder = f"{STAGED}/{version}"
            self.bucket.delete([f"{folder}/{name}" for name in self.bucket.sizes(folder)])

    def delete(self, version: str) -> None:
        remove_version(self.bucket, version)

    def read(self, name: str) -> bytes | None:
        found = self.bucket.read(name)
        return None if found is None else found[0]

    def open(self, name: str) -> pa.NativeFile:
        return self.bucket.open_file(name)

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        """A copy in the folder for temporary files."""
        with TemporaryDirectory(prefix="recobatch-verify-") as folder:
            path = Path(folder, "file")
            with explained("hold a copy of the file", path, outcome="nothing was checked"):
                self.bucket.fetch(name, path)
            yield path

    def sizes(self, version: str) -> dict[str, int]:
        return self.bucket.sizes(f"{VERSIONS}/{version}")

    def check_links(self, manifest: Manifest) -> list[str]:
        """An object store has no links."""
        return []

    def _check_conditions(self) -> None:
        """Raise ``BadTable`` if the store ignores the conditions of writes; the marker is there, and stays as it is."""
        found = self.bucket.read(MARKER)
        for over in (None, found and found[1].other()):
            try:
                self.bucket.write(MARKER, MARK, over=over)
            except PreconditionFailed:
                continue
            raise BadTable(
                f"{self.location}: found an object store that ignores the conditions of a write (If-None-Match, "
                f"If-Match), expected one that honours them, or two runs could both publish; use another store, or a "
                f"folder"
            )

    def _check_free(self) -> None:
        """Raise ``BadTable`` if anything lies there that this program did not leave."""
        folders, objects = self.bucket.children()
        foreign = sorted({*folders, *objects} - {MARKER, LEASE, VERSIONS})
        if foreign and MARKER not in objects:
            refuse_foreign(self.location, foreign, "a prefix with nothing below it or one")
