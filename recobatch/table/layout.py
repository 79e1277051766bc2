"""The names in a table folder, and whether a folder is ours to write in."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from recobatch.errors import BadSettings, BadTable
from recobatch.storage.durable import TEMPORARY, explained, fsync_folder

MARKER = ".recobatch-table"
"""A file that marks a folder as a prediction table."""
MARK = b'{"format": 1}\n'
"""Content of the marker."""
LOCK = ".lock"
STAGING = ".staging-"
"""Prefix of folders in which a snapshot is staged; consumers never read there."""
TRASH = ".trash-"
"""Prefix of snapshots that are being removed."""
STAGED = "staging"
"""Prefix, in an object store, of the notes on versions that are not published yet."""
VERSIONS = "versions"
CURRENT = "current"
POINTER = "current.json"
MANIFEST = "manifest.json"
TITLES = "titles.parquet"
USERS = "users.parquet"
ITEMS = "items.parquet"
CHAMPION = "champion"
"""Link to the champion's predictions."""
CHAMPION_TOP = "champion-top"
"""Link to its lists, where there are any."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=+-]{0,127}")


def safe_name(kind: str, name: str) -> str:
    """Pass on a name that becomes part of a path.

    Raises:
        BadSettings: Unless it is 1 to 128 letters, digits and ``_.=+-``, beginning with a letter or digit.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise BadSettings(
            f"{kind}: found {name[:140]!r}, expected a letter or digit and then up to 127 letters, digits and _.=+- "
            f"without '..', because it names a folder of the table; choose another {kind}"
        )
    return name


def is_table(root: Path) -> bool:
    """Whether a folder is marked as a prediction table."""
    with explained("open the table folder", root, outcome="nothing was touched"):
        return (root / MARKER).is_file()


def initialize(root: Path) -> None:
    """Mark ``root`` as a prediction table unless it is one.

    Raises:
        BadTable: If something lies there that this program did not make; it is left untouched.
        RecobatchError: If the folder cannot be made.
    """
    if is_table(root):
        return
    check_free(root)
    with explained("make the table folder", root):
        root.mkdir(parents=True, exist_ok=True)
        (root / VERSIONS).mkdir(exist_ok=True)
        # Not by way of a temporary file: a faster rival would remove it. Only that the marker exists counts.
        with suppress(FileExistsError), (root / MARKER).open("xb") as marker:
            marker.write(MARK)
            marker.flush()
            os.fsync(marker.fileno())
        fsync_folder(root)


def check_free(root: Path) -> None:
    """Raise ``BadTable`` if ``root`` holds anything that this program did not leave there."""
    with explained("open the table folder", root, outcome="nothing was touched"):
        if not root.exists() and not root.is_symlink():
            return
    if not root.is_dir():
        raise BadTable(
            f"{root}: found something that is no folder, expected a prediction table or a free name; "
            f"pass another --table"
        )
    with explained("list the folder", root):
        foreign = sorted(entry.name for entry in root.iterdir() if not _is_ours_before_marking(entry))
    if foreign and not is_table(root):  # another run may have marked it meanwhile
        refuse_foreign(root, foreign, "an empty folder or one")


def refuse_foreign(where: Path | str, foreign: Sequence[str], expected: str) -> NoReturn:
    """Raise ``BadTable`` for entries that are not of a table."""
    shown = ", ".join(foreign[:5]) + (", …" if len(foreign) > 5 else "")
    raise BadTable(
        f"{where}: found {len(foreign)} entries that are not of a prediction table ({shown}), expected {expected} "
        f"with {MARKER}; nothing was touched, pass another --table"
    )


def withdraw(root: Path) -> None:
    """Remove a table in which nothing was published or staged, but not its folder; hold its lock.

    The marker goes first: what an interrupted call leaves behind is a folder that ``initialize`` accepts.
    """
    ours = {MARKER, LOCK, VERSIONS}
    with suppress(OSError):  # whatever cannot be removed now is an empty table, which the next run uses
        if {entry.name for entry in root.iterdir()} <= ours and not any((root / VERSIONS).iterdir()):
            (root / MARKER).unlink()
            (root / VERSIONS).rmdir()
            (root / LOCK).unlink()


def _is_ours_before_marking(entry: Path) -> bool:
    """Whether a run that was killed between making the folder and marking it may have left an entry."""
    if entry.name == VERSIONS:
        return entry.is_dir() and not any(entry.iterdir())
    return entry.name == LOCK or entry.name.startswith(TEMPORARY)
