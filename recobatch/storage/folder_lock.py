"""The lock of a folder that one process works in; the kernel frees it when that process ends."""

import fcntl
import os
from pathlib import Path


class FolderLock:
    """A locked folder, until it is closed; see ``try_lock``."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.closed = False

    def close(self) -> None:
        """Unlock the folder; a second call does nothing."""
        if not self.closed:
            self.closed = True
            os.close(self._handle)


def try_lock(folder: Path) -> FolderLock | None:
    """Lock a folder; None if another process has locked it, or if it does not exist any more.

    A process that makes a folder locks it next; if another process that sweeps the parent was faster, it makes another.

    Raises:
        OSError: If the file system supports no locks.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        os.close(handle)
        raise
    if not folder.exists():
        os.close(handle)
        return None
    return FolderLock(handle)
