"""Folders in the making: each is claimed by its builder, so what a dead one left can go at once."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from recobatch.storage.durable import explained
from recobatch.storage.folder_lock import Claim, claim

_OURS = re.compile(r"\.[a-z][\w-]*-[0-9a-f]{12}")


@contextmanager
def scratch_folder(root: Path, name: str) -> Iterator[Path]:
    """Make an empty folder ``.<name>-<random>`` in ``root``, which nobody sweeps for the time of the ``with`` block.

    Raises:
        RecobatchError: If the disk refuses it.
    """
    folder, ours = _claimed(root, name)
    try:
        yield folder
    finally:
        if ours is not None:
            ours.close()


@contextmanager
def temporary_folder(root: Path, name: str) -> Iterator[Path]:
    """As ``scratch_folder``, and removed at the end of the ``with`` block."""
    with scratch_folder(root, name) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(root: Path) -> list[Path]:
    """Remove folders whose builder died; returns what was removed."""
    return [folder for folder in root.glob(".*-*") if _OURS.fullmatch(folder.name) and _removed(folder)]


def _claimed(root: Path, name: str) -> tuple[Path, Claim | None]:
    while True:
        folder = root / f".{name}-{uuid4().hex[:12]}"
        with explained("make a folder for the stage's output", root):
            folder.mkdir(parents=True)
        try:
            ours = claim(folder)
        except OSError:  # where a file system knows no locks, nothing is swept either
            return folder, None
        if ours is not None:
            return folder, ours


def _removed(folder: Path) -> bool:
    try:
        left = claim(folder)
    except OSError:
        return False
    if left is None:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    left.close()
    return not folder.exists()
