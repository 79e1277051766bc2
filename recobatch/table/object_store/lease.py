"""The lock of a table in an object store: a lease that its holder keeps renewing.

The lease spares a second run an hour of work for nothing. The table's correctness does not depend on it or on any
clock, but on the condition under which the pointer is written.
"""

import json
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from recobatch.errors import RecobatchError, TableBusy
from recobatch.storage.bucket import Bucket
from recobatch.storage.etag import ETag
from recobatch.storage.store_errors import PreconditionFailed
from recobatch.table.holder import busy, card_of, is_running, read_card

LEASE = "lock.json"
SECONDS = 120.0
"""After which a lease that was not renewed is free."""
_BEATS = 4
"""Renewals within that time."""
_RELEASED = 0.0
"""A time that is past by every clock."""


class Lease:
    """The right to write a table; a thread renews it until ``release``."""

    def __init__(self, bucket: Bucket, holder: str) -> None:
        """Acquire the lease; never waits.

        Raises:
            TableBusy: If another run holds it; the message names it.
        """
        self._bucket = bucket
        self._card = card_of(holder) | {"processes": _process_table(), "token": secrets.token_hex(8)}
        self._lost: dict[str, Any] | None = None
        self._ended = Event()
        found = bucket.read(LEASE)
        if found is not None and _is_live(card := read_card(found[0])):
            raise busy(bucket.uri, card)
        self._etag = self._write(found and found[1], time.time() + SECONDS)
        self._thread = Thread(target=self._keep_renewing, name="recobatch-lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise ``TableBusy`` if another run holds the lease by now, because it was not renewed in time."""
        if self._lost is not None:
            raise busy(self._bucket.uri, self._lost)

    def release(self) -> None:
        """End the lease; if the store is unreachable it lapses by itself."""
        self._ended.set()
        self._thread.join()
        if self._lost is None:
            with suppress(RecobatchError):
                self._write(self._etag, _RELEASED)

    def _keep_renewing(self) -> None:
        while not self._ended.wait(SECONDS / _BEATS):
            try:
                self._etag = self._write(self._etag, time.time() + SECONDS)
            except TableBusy:
                return
            except RecobatchError:
                continue  # the store is unreachable: there are more renewals before the lease lapses

    def _write(self, over: ETag | None, expires: float) -> ETag:
        card = self._card | {"expires": expires, "beat": secrets.token_hex(8)}
        try:
            return self._bucket.write(LEASE, json.dumps(card).encode(), over=over)
        except PreconditionFailed:
            found = self._bucket.read(LEASE)
            now = read_card(found[0]) if found else {}
            if found and now.get("token") == self._card["token"]:
                return found[1]  # it was written, and only the answer was lost
            self._lost = now
            raise busy(self._bucket.uri, now) from None


def _is_live(card: dict[str, Any]) -> bool:
    try:
        if card["processes"] == _process_table() and not is_running(int(card["pid"])):
            return False
        return float(card["expires"]) > time.time()
    except (KeyError, TypeError, ValueError):
        return False


def _process_table() -> str:
    """Identifies the machine, its start and its container: a process id is comparable only where all are the same."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()
