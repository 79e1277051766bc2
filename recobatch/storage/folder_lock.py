"""The lock of a folder that one process works in; the kernel frees it when that process ends."""

import fcntl
import os
from pathlib import Path


class FolderLock:
    """A locked folder or file, until it is closed; see ``try_lock``."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.closed = False

    def close(self) -> None:
        """Unlock the folder; a second call does nothing."""
        if not self.closed:
            self.closed = True
            os.close(self._handle)

    def __del__(self) -> None:
        self.close()


def try_lock(folder: Path) -> FolderLock | None:
    """Lock a folder; None if another process has locked it, or if it does not exist any more.

    A process that makes a folder locks it next; if another process that sweeps the parent was faster, it makes another.

    Raises:
        OSError: If the file system supports no locks.
    """
    return _try(folder, os.O_DIRECTORY, fcntl.LOCK_EX)


def try_lock_file(path: Path, *, shared: bool) -> FolderLock | None:
    """Lock a file; None if another process has locked it, or if it does not exist any more.

    Args:
        path: The file.
        shared: Whether others may lock it in the same way at the same time.

    Raises:
        OSError: If the file system supports no locks.
    """
    return _try(path, 0, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


def _try(path: Path, kind: int, operation: int) -> FolderLock | None:
    try:
        lock = FolderLock(os.open(path, os.O_RDONLY | kind | os.O_CLOEXEC))
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock._handle, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    except OSError:
        lock.close()
        raise
    if not _is_at(path, lock._handle):  # removed meanwhile, or made anew by another process
        lock.close()
        return None
    return lock


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
