"""One writer per table."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from recobatch.errors import TableBusy
from recobatch.storage.durable import explained

# A POSIX record lock: the kernel frees it when its process dies, however it dies, and a forked child never has it
# (flock and open-file-description locks live on in the child). Two properties need care. It does not exclude other
# handles in the same process: the registry below does. And closing any handle of the file in the process drops it:
# so a process that holds a table never opens that file a second time, which the registry also sees to.
_held: dict[Path, str] = {}
_guard = Lock()


def _forget_in_child() -> None:
    global _guard
    _guard = Lock()
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


@contextmanager
def hold(path: Path, *, holder: str) -> Iterator[None]:
    """Hold the lock file for the time of the ``with`` block; never waits.

    Args:
        path: The lock file; made if missing, never removed.
        holder: Who asks, as others will read it: a batch id.

    Raises:
        TableBusy: If another process, or another part of this one, holds it; the message says who.
        RecobatchError: If the file cannot be opened.
    """
    key = _key(path)
    with _guard:
        if key in _held:
            raise TableBusy(_told(path.parent, _held[key]))
        _held[key] = card = json.dumps({
            "holder": holder, "pid": os.getpid(), "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        })  # fmt: skip
    owner = os.getpid()
    try:
        with explained("open the table's lock", path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _acquire(handle, path)
            with explained("write the table's lock", path):
                os.ftruncate(handle, 0)
                os.pwrite(handle, card.encode(), 0)
            yield
        finally:
            if os.getpid() == owner:
                os.close(handle)
    finally:
        if os.getpid() == owner:
            with _guard:
                _held.pop(key, None)


def is_held_here(path: Path) -> bool:
    """Whether this process holds the lock file; a forked child of the holder does not."""
    with _guard:
        return _key(path) in _held


def _key(path: Path) -> Path:
    return path.parent.resolve() / path.name


def _acquire(handle: int, path: Path) -> None:
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise TableBusy(_told(path.parent, _card(handle))) from error


def _card(handle: int) -> str:
    """Who holds the lock; the holder writes that just after it got the lock, so look again for a moment."""
    for _ in range(10):
        card = os.pread(handle, 4096, 0).decode(errors="replace")
        if card and _may_live(card):
            return card
        time.sleep(0.01)
    return card


def _may_live(card: str) -> bool:
    try:
        told = json.loads(card)
        if told["host"] == socket.gethostname():
            os.kill(told["pid"], 0)
    except (ValueError, KeyError, TypeError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _told(root: Path, card: str) -> str:
    try:
        told = json.loads(card)
        who = f"batch {told['holder']} (pid {told['pid']} on {told['host']}, since {told['since']})"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return (
        f"{root}: found the table held by {who}, expected a table that nobody writes to; "
        f"wait until that run ends, or stop it, or pass another --table"
    )
