"""A table in an object store: conditional writes in place of a link, a lease in place of a lock.

What the catalog does not list is not published, whatever lies there. A run that dies has published all or nothing; a
run that is late finds another catalog and loses.
"""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from recobatch.errors import BadTable, RecobatchError
from recobatch.storage.durable import explained
from recobatch.table.catalog import Catalog
from recobatch.table.layout import MANIFEST, MARK, MARKER, POINTER, VERSIONS, refuse_foreign
from recobatch.table.manifest import FileEntry, Manifest
from recobatch.table.object_store.bucket import Bucket
from recobatch.table.object_store.lease import LEASE, Lease
from recobatch.table.store import ETag, PreconditionFailed

_AT_ONCE = 4
"""Files uploaded at the same time."""


class ObjectStore:
    """A ``Store`` below a URI."""

    is_remote = True

    def __init__(self, bucket: Bucket, scratch: Path) -> None:
        """Open a store; nothing is read yet.

        Args:
            bucket: Where the table lies.
            scratch: Folder on this machine in which versions are staged; for this table alone.
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
        return self.bucket.children(VERSIONS)[0]

    def put(self, staging: Path, manifest: Manifest) -> None:
        """Upload every file under its own name, none of them over another, and the manifest last.

        What an earlier attempt at the same version has uploaded already is kept where it is the same.
        """
        there = self.sizes(manifest.version)
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            for done in [pool.submit(self._put_file, staging, manifest, entry, there) for entry in manifest.files]:
                done.result()
        finally:
            pool.shutdown(cancel_futures=True)
        self._put_manifest(manifest)

    def _put_file(self, staging: Path, manifest: Manifest, entry: FileEntry, there: dict[str, int]) -> None:
        name = f"{VERSIONS}/{manifest.version}/{entry.path}"
        try:
            if entry.path not in there:
                self.bucket.upload(name, staging / entry.path)
                return
        except PreconditionFailed:
            pass  # an attempt whose answer was lost, most likely
        digest, size = hashlib.sha256(), 0
        with self.open(name) as file:
            while chunk := file.read(1 << 22):
                digest.update(chunk)
                size += len(chunk)
        if (size, digest.hexdigest()) != (entry.bytes, entry.sha256):
            self._refuse(name)

    def _put_manifest(self, manifest: Manifest) -> None:
        """Over that of a dead attempt, if there is one: no catalog ever listed it."""
        name, content = f"{VERSIONS}/{manifest.version}/{MANIFEST}", manifest.dump()
        found = self.bucket.read(name)
        try:
            self.bucket.write(name, content, over=found and found[1])
        except PreconditionFailed:
            if self.read(name) != content:
                self._refuse(name)

    def _refuse(self, name: str) -> None:
        raise RecobatchError(
            f"{self.location}/{name}: found other content under a name that is this run's own, expected a free name; "
            f"nothing was published, run again with --fresh"
        )

    def delete(self, version: str) -> None:
        self.bucket.delete([f"{VERSIONS}/{version}/{name}" for name in self.sizes(version)])

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

    def _check_free(self) -> None:
        """Raise ``BadTable`` if anything lies there that this program did not leave."""
        folders, objects = self.bucket.children()
        foreign = sorted({*folders, *objects} - {MARKER, LEASE, VERSIONS})
        if foreign and MARKER not in objects:
            refuse_foreign(self.location, foreign, "a prefix with nothing below it or one")
