"""The lock of a table in a folder: a POSIX record lock, which the kernel frees when its process ends."""

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from recobatch.storage.durable import explained
from recobatch.table.holder import busy, card_of, is_running, read_card

# A forked child never has a POSIX record lock (flock and open-file-description locks live on in the child). Two
# properties need care. It does not exclude other handles in the same process. And closing any handle of the file in
# the process drops it: so a process that holds a table never opens that file again. ``session`` takes care of both.


class TableLock:
    """The lock file of a table, held until ``release`` or the end of the process."""

    def __init__(self, path: Path, holder: str) -> None:
        """Acquire the lock; never waits.

        Args:
            path: The lock file; made if missing.
            holder: The batch id that others will read.

        Raises:
            TableBusy: If another process holds it; the message names it.
            RecobatchError: If the file cannot be opened.
        """
        self._path = path
        with explained("open the table's lock", path):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._acquire()
            with explained("write the table's lock", path):
                os.ftruncate(self._handle, 0)
                os.pwrite(self._handle, json.dumps(card_of(holder)).encode(), 0)
        except BaseException:
            os.close(self._handle)
            raise

    def check(self) -> None:
        """Nobody can take it away."""

    def is_in_place(self) -> bool:
        """Whether the file is still at its path; the holder before may have removed it with an empty table."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._handle))
        except OSError:
            return False

    def release(self) -> None:
        os.close(self._handle)

    def _acquire(self) -> None:
        try:
            fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise busy(str(self._path.parent), self._card()) from error

    def _card(self) -> dict[str, Any]:
        """The holder's card; it is written just after the lock was acquired, so read again for a moment."""
        for _ in range(10):
            card = read_card(os.pread(self._handle, 4096, 0))
            pid, is_here = card.get("pid"), card.get("host") == socket.gethostname()
            if isinstance(pid, int) and (not is_here or is_running(pid)):
                break
            time.sleep(0.01)
        return card
