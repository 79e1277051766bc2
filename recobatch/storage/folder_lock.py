"""A folder that one living process works in: others can tell, and the kernel frees it however that process ends."""

import fcntl
import os
from pathlib import Path


class Claim:
    """A folder of ours until it is closed; see ``claim``."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.closed = False

    def close(self) -> None:
        """Let go of the folder; harmless when it was let go of already."""
        if not self.closed:
            self.closed = True
            os.close(self._handle)


def claim(folder: Path) -> Claim | None:
    """Take a folder that nobody works in; none where somebody does, or where it is gone by now.

    Whoever makes a folder claims it next, and makes another where a neighbour that looks for left-overs was faster.

    Raises:
        OSError: If the file system knows no locks.
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
    return Claim(handle)
