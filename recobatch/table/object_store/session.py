"""A writer's time with a table: its lease, and the pointer as it was at the start, which no rival may have changed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from recobatch.errors import RecobatchError, TableBusy
from recobatch.table.layout import POINTER
from recobatch.table.object_store.bucket import Bucket, ETag, PreconditionFailed
from recobatch.table.object_store.catalog import Catalog
from recobatch.table.object_store.lease import Lease

# By process and not by object: tasks of a run may come by another handle of the same table.
_open: dict[str, "Session"] = {}
_holders: dict[str, str] = {}
"""Who has or is about to have a session, by the table's URI."""
_guard = Lock()


def _forget_in_child() -> None:
    global _guard
    _guard = Lock()
    _open.clear()
    _holders.clear()


os.register_at_fork(after_in_child=_forget_in_child)


class Session:
    """What one writer knows of a table and may change there."""

    def __init__(self, bucket: Bucket, holder: str, lease: Lease) -> None:
        self.holder = holder
        self._bucket = bucket
        self._lease = lease
        self.catalog, self._stamp = read_catalog(bucket)

    def move(self, catalog: Catalog) -> None:
        """Write the pointer, if it still is as this session found or left it.

        Raises:
            TableBusy: If another run has written it meanwhile; the message says who.
            RecobatchError: If the store refuses; the message says what readers see.
        """
        self._lease.check()
        try:
            stamp = self._bucket.write(POINTER, catalog.dump(), over=self._stamp)
        except PreconditionFailed:
            now, stamp_now = read_catalog(self._bucket)
            if now is None or stamp_now is None or now.token != catalog.token:
                raise TableBusy(self._overtaken(now)) from None
            stamp = stamp_now  # it was written, and only the answer was lost
        except RecobatchError as error:
            stamp = self._settle(catalog, error)
        self.catalog, self._stamp = catalog, stamp

    def _settle(self, catalog: Catalog, error: RecobatchError) -> ETag:
        """After a failure: whether the pointer was written all the same."""
        try:
            now, stamp = read_catalog(self._bucket)
        except RecobatchError:
            raise RecobatchError(
                f"{error}; it is not known whether version {catalog.version} is current, recobatch verify tells; "
                f"the table is whole either way"
            ) from error
        if now is not None and stamp is not None and now.token == catalog.token:
            return stamp
        raise RecobatchError(f"{error}; the table that stood before still stands") from error

    def _overtaken(self, now: Catalog | None) -> str:
        found = f"version {now.version}, written by batch {now.holder}" if now else "none"
        before = f"version {self.catalog.version}" if self.catalog else "none"
        return (
            f"{self._bucket.uri}: found that another run has moved the pointer meanwhile (now {found}), expected it as "
            f"this run found it ({before}); nothing was published, run again"
        )


def read_catalog(bucket: Bucket) -> tuple[Catalog | None, ETag | None]:
    """The pointer and its state; none if nothing was published yet.

    Raises:
        BadTable: If the pointer cannot be understood.
    """
    found = bucket.read(POINTER)
    return (Catalog.load(found[0], bucket.uri), found[1]) if found else (None, None)


def current_session(bucket: Bucket) -> Session | None:
    """The session that this process has with a table."""
    with _guard:
        return _open.get(bucket.uri)


@contextmanager
def session(bucket: Bucket, holder: str) -> Iterator[Session]:
    """Be the only writer for the time of the ``with`` block; never waits.

    Raises:
        TableBusy: If another run, or another part of this one, is writing; the message says who.
    """
    _reserve(bucket.uri, holder)
    owner = os.getpid()
    try:
        with _leased(bucket, holder, owner) as lease:
            ours = Session(bucket, holder, lease)
            with _guard:
                _open[bucket.uri] = ours
            yield ours
    finally:
        if os.getpid() == owner:
            with _guard:
                _open.pop(bucket.uri, None)
                _holders.pop(bucket.uri, None)


def _reserve(uri: str, holder: str) -> None:
    """Exclude other threads of this process, which a lease cannot tell from its holder."""
    with _guard:
        if uri in _holders:
            raise TableBusy(
                f"{uri}: found the table held by batch {_holders[uri]} of this process, expected a table that nobody "
                f"writes to; wait until that run ends, or pass another --table"
            )
        _holders[uri] = holder


@contextmanager
def _leased(bucket: Bucket, holder: str, owner: int) -> Iterator[Lease]:
    lease = Lease(bucket, holder)
    try:
        yield lease
    finally:
        if os.getpid() == owner:
            lease.release()
