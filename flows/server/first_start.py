"""Prefect servers that start at once on a new database: one makes its tables, the others wait for it.

Without this, each of them would make the tables, and all but one would end because a table exists already.
"""

from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from recobatch.storage.initialize import lock_to_initialize


def wait_for_tables(home: Path) -> Callable[[], None]:
    """Wait while another server makes the tables of the database in ``home``.

    Args:
        home: Prefect's; made if missing.

    Returns:
        To be called when this server has started: until then others wait for it, unless it ends.
    """
    made = home / f".tables-of-{version('prefect')}"
    lock = None
    with suppress(OSError):  # Prefect's own message names the defect of its folder
        lock = lock_to_initialize(home / ".tables-lock", lambda: made.exists() and (home / "prefect.db").exists())

    def started() -> None:
        if lock is not None:
            with suppress(OSError):
                made.touch()
            lock.close()

    return started
