"""Initialize something once for several processes: the others wait until it is done."""

import fcntl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO


def lock_to_initialize(lock: Path, is_done: Callable[[], bool]) -> TextIO | None:
    """Wait until something is initialized, or until this process has the lock to initialize it.

    Args:
        lock: The lock file; it and its folder are made if missing.
        is_done: Whether it is initialized; asked again once the lock is held.

    Returns:
        The held lock, to be closed when all is initialized; the end of the process, kill -9 included, frees it too.
        None if there is nothing left to do.

    Raises:
        OSError: If the lock file cannot be made or locked.
    """
    if is_done():
        return None
    lock.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        held = stack.enter_context(lock.open("w"))
        fcntl.flock(held, fcntl.LOCK_EX)
        if not is_done():
            stack.pop_all()
            return held
    return None
