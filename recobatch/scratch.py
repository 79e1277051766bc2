"""Folders in the making: a lock on each says that its builder lives, so what a dead one left can go at once."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from recobatch.durable import explained

_OURS = re.compile(r"\.[a-z][\w-]*-[0-9a-f]{12}")


@contextmanager
def scratch_folder(root: Path, name: str) -> Iterator[Path]:
    """Make an empty folder ``.<name>-<random>`` in ``root``, which nobody sweeps for the time of the ``with`` block.

    Raises:
        RecobatchError: If the disk refuses it.
    """
    folder, lock = _locked(root, name)
    try:
        yield folder
    finally:
        os.close(lock)


def sweep(root: Path) -> list[Path]:
    """Remove folders whose builder died; returns what was removed."""
    return [folder for folder in root.glob(".*-*") if _OURS.fullmatch(folder.name) and _removed(folder)]


def _locked(root: Path, name: str) -> tuple[Path, int]:
    folder = root / f".{name}-{uuid4().hex[:12]}"
    with explained("make a folder for the stage's output", root):
        folder.mkdir(parents=True)
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:  # swept in the instant before it was locked
            return _locked(root, name)
    with suppress(OSError):  # where a file system knows no locks, nothing is swept either
        fcntl.flock(lock, fcntl.LOCK_EX)
    if folder.exists():
        return folder, lock
    os.close(lock)
    return _locked(root, name)


def _removed(folder: Path) -> bool:
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return False
    finally:
        os.close(lock)
    return not folder.exists()
