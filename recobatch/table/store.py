"""What a table needs of the place it lies in; a local folder and an object store are the two there are."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from recobatch.storage.etag import ETag
from recobatch.table.catalog import Catalog
from recobatch.table.manifest import Manifest
from recobatch.table.resume import Unfinished
from recobatch.table.staged import StagedFiles


class Lock(Protocol):
    """The right to write a table, while it is held."""

    def check(self) -> None:
        """Raise ``TableBusy`` if it was lost to another run."""


class Store(Protocol):
    """The files of one table, by names relative to it, with forward slashes.

    Every method raises ``RecobatchError`` if the disk or the object store refuses. Order of a publish: ``put``, then
    ``write_catalog``. Order of a removal: ``write_catalog`` without the version, then ``delete``. So whatever the
    catalog names is whole at every moment.
    """

    @property
    def location(self) -> str:
        """Path or URI, for messages."""

    @property
    def key(self) -> str:
        """The same for every handle that this process has of the table."""

    @property
    def is_remote(self) -> bool:
        """Whether reading a whole file costs a download."""

    def is_table(self) -> bool:
        """Whether the place is marked as a table."""

    def initialize(self) -> None:
        """Mark the place as a table unless it is one.

        Raises:
            BadTable: If something lies there that this program did not make; it is left untouched.
        """

    def exclusive(self, holder: str) -> AbstractContextManager[Lock]:
        """Initialize the place and be the only writer of the table; never waits.

        Raises:
            TableBusy: If another process is writing; the message names it.
        """

    def read_catalog(self) -> tuple[Catalog, ETag | None]:
        """What is published, and the state to write over; ``Catalog()`` if nothing is.

        Raises:
            BadTable: If the place holds something else than a table.
        """

    def write_catalog(self, catalog: Catalog, *, over: ETag | None) -> ETag:
        """Replace the catalog in one step, if its state is still ``over``; readers see its version from then on.

        Raises:
            PreconditionFailed: If the condition does not hold, so that nothing was written.
        """

    def versions(self) -> list[str]:
        """Names of all versions of which any file or note is there, published or not."""

    def stage(self, version: str, shaped_by: str, notes: Mapping[str, Any]) -> StagedFiles:
        """Begin a version; with ``shaped_by``, so that it can be resumed. See ``Table.stage``."""

    def unfinished(self) -> list[Unfinished]:
        """Versions that were begun and can be resumed, the one with the most finished files first."""

    def resume(self, left: Unfinished) -> StagedFiles:
        """One of them, without the files that were unfinished when its run died."""

    def sweep(self, kept: Collection[Path]) -> list[Path | str]:
        """Remove the staging folders and temporary files of dead runs from this machine; returns their paths.

        Args:
            kept: Paths of what may be resumed.
        """

    def put(self, staging: Path, manifest: Manifest) -> None:
        """Bring what a staging folder holds to its version's place and make it durable, the manifest last.

        Raises:
            RecobatchError: If other content lies under one of the names, or if a file is missing.
        """

    def forget(self, versions: Collection[str]) -> None:
        """Remove the notes on versions that are published."""

    def delete(self, version: str) -> None:
        """Remove all files of a version and the notes on it."""

    def read(self, name: str) -> bytes | None:
        """A small file, or none if there is no such file."""

    def open(self, name: str) -> Path | pa.NativeFile:
        """A file for pyarrow to read, in parts."""

    def local_copy(self, name: str) -> AbstractContextManager[Path]:
        """A file as a path on this machine, for the time of the ``with`` block."""

    def sizes(self, version: str) -> dict[str, int]:
        """Bytes of each file of a version, by its name within the version; without the link to the champion."""

    def check_links(self, manifest: Manifest) -> list[str]:
        """What is wrong with the links of a version, one line each."""
