"""The time of one writer with a table: its lock, and the catalog that no rival may have changed meanwhile."""

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock as Mutex

from recobatch.errors import RecobatchError, TableBusy
from recobatch.storage.store_errors import PreconditionFailed
from recobatch.table.catalog import Catalog, CatalogEntry
from recobatch.table.layout import VERSIONS
from recobatch.table.manifest import Manifest
from recobatch.table.store import Lock, Store

# By process and not by object: tasks of a run may use another handle of the same table. Neither kind of lock excludes
# other threads of the process that holds it.
_open: dict[str, "Session"] = {}
_holders: dict[str, str] = {}
"""Holder of every table that this process writes to, by the table's key; reserved before the lock is acquired."""
_guard = Mutex()


def _forget_in_child() -> None:
    global _guard
    _guard = Mutex()
    _open.clear()
    _holders.clear()


os.register_at_fork(after_in_child=_forget_in_child)


class Session:
    """What one writer knows of a table and may change there."""

    def __init__(self, store: Store, holder: str, lock: Lock) -> None:
        self.holder = holder
        self._store = store
        self._lock = lock
        self.catalog, self._etag = store.read_catalog()

    def move(self, catalog: Catalog) -> None:
        """Store a catalog, if what is stored still is as this session found or left it.

        Raises:
            TableBusy: If another run has written it meanwhile; the message names it.
            RecobatchError: If the store refuses; the message says what readers see.
        """
        self.repair()
        self._write(catalog)

    def repair(self) -> None:
        """Store the catalog that this session found, where a dead run had moved only the link.

        Before anything else is written: which version the link was moved from follows from what is stored.
        """
        if self.catalog.is_stale:
            self._write(self.catalog.renewed(self.holder))

    def _write(self, catalog: Catalog) -> None:
        self._lock.check()
        try:
            self._etag = self._store.write_catalog(catalog, over=self._etag)
        except PreconditionFailed:
            raise TableBusy(self._overtaken(self._store.read_catalog()[0])) from None
        self.catalog = catalog

    def check_unmoved(self) -> None:
        """Raise ``TableBusy`` if another run has written the catalog since this session found or left it."""
        now, etag = self._store.read_catalog()
        if etag != self._etag:
            raise TableBusy(self._overtaken(now))

    def publish(self, staging: Path, manifest: Manifest) -> None:
        """Put a finished staging folder in place and make it the current version."""
        self._store.put(staging, manifest)
        self.move(self.catalog.pointing_at(manifest, self.holder))
        # What cannot be removed now is removed by the next run.
        with suppress(RecobatchError):
            self._store.forget([manifest.version])
        shutil.rmtree(staging, ignore_errors=True)

    def remove(self, entries: Sequence[CatalogEntry]) -> None:
        """Remove published versions: all from the catalog, then the files of each."""
        self.move(self.catalog.without(entries, self.holder))
        for entry in entries:
            self._store.delete(entry.version)

    def remove_unpublished(self, *, kept: Collection[str]) -> list[str]:
        """Remove versions that the catalog does not list, once no rival that is only slow can point at them.

        Args:
            kept: Versions that may be resumed.

        Returns:
            Paths or URIs of what was removed.
        """
        self.repair()
        if not self.catalog.version:
            return []  # without a pointer to rewrite, such a rival could
        gone = [version for version in self._store.versions() if version not in {*self.catalog.snapshots, *kept}]
        if gone:
            self.move(self.catalog.renewed(self.holder))
        for version in gone:
            self._store.delete(version)
        self._store.forget(self.catalog.snapshots.keys())
        return [f"{self._store.location}/{VERSIONS}/{version}" for version in gone]

    def _overtaken(self, now: Catalog) -> str:
        found = f"version {now.version}, written by batch {now.holder}" if now.version else "none"
        before = f"version {self.catalog.version}" if self.catalog.version else "none"
        return (
            f"{self._store.location}: found that another run has moved the pointer meanwhile (now {found}), expected "
            f"it as this run found it ({before}); nothing was published, run again"
        )


def current_session(store: Store) -> Session | None:
    """The session that this process has with a table; a forked child of the writer has none."""
    with _guard:
        return _open.get(store.key)


@contextmanager
def session(store: Store, holder: str) -> Iterator[Session]:
    """Be the only writer for the time of the ``with`` block; never waits.

    Raises:
        TableBusy: If another run, or another part of this one, is writing; the message names it.
        BadTable: If the place holds something else than a table.
    """
    _reserve(store, holder)
    owner = os.getpid()
    try:
        with store.exclusive(holder) as lock:
            ours = Session(store, holder, lock)
            with _guard:
                _open[store.key] = ours
            yield ours
    finally:
        if os.getpid() == owner:
            with _guard:
                _open.pop(store.key, None)
                _holders.pop(store.key, None)


def _reserve(store: Store, holder: str) -> None:
    with _guard:
        if store.key in _holders:
            raise TableBusy(
                f"{store.location}: found the table held by batch {_holders[store.key]} of this process, expected a "
                f"table that nobody writes to; wait until that run ends, or pass another --table"
            )
        _holders[store.key] = holder
