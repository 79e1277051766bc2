"""Prefect servers that start at once on a new database: one makes its tables, the others wait for it.

Left alone, each of them would make the tables, and all but one would end over a table that exists already.
"""

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path


def wait_for_tables(home: Path) -> Callable[[], None]:
    """Wait while another server makes the tables of the database in ``home``.

    Args:
        home: Prefect's; made if missing.

    Returns:
        To be called when this server has started: until then others wait for it, unless it ends.
    """
    made = home / f".tables-of-{version('prefect')}"
    if _stand(made):
        return lambda: None
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(home / ".tables-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:  # Prefect itself says better what is wrong with its folder
        return lambda: None
    if _stand(made):
        os.close(lock)
        return lambda: None

    def started() -> None:
        with suppress(OSError):
            made.touch()
        os.close(lock)

    return started


def _stand(made: Path) -> bool:
    return made.exists() and made.with_name("prefect.db").exists()
