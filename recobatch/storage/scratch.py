"""Unfinished folders, each locked by its builder, so that those of dead builders can be removed at once."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from recobatch.errors import RecobatchError
from recobatch.storage.durable import explained
from recobatch.storage.folder_lock import FolderLock, try_lock

_OURS = re.compile(r"\.[a-z][\w-]*-[0-9a-f]{12}")


@contextmanager
def scratch_folder(root: Path, name: str) -> Iterator[Path]:
    """Make an empty folder ``.<name>-<random>`` in ``root``, locked against ``sweep`` during the ``with`` block.

    Raises:
        RecobatchError: If the disk refuses it.
    """
    folder, lock = _make_locked(root, name)
    try:
        yield folder
    finally:
        if lock is not None:
            lock.close()


@contextmanager
def temporary_folder(root: Path, name: str) -> Iterator[Path]:
    """As ``scratch_folder``, and removed at the end of the ``with`` block."""
    with scratch_folder(root, name) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def resumable_folder(root: Path, name: str, identity: str) -> Iterator[Path]:
    """The folder ``.<name>-<identity>`` in ``root``, as the process before left it, locked during the ``with`` block.

    The other folders of the name whose builders died are removed.

    Args:
        root: Where.
        name: What others are swept by; lower-case letters, digits and dashes.
        identity: Of what is to be built there; the first 12 of its hex digits count.

    Raises:
        RecobatchError: If the disk refuses it, or another process builds the same.
    """
    folder, lock = root / f".{name}-{identity[:12]}", None
    while lock is None:
        with explained("make a folder for unfinished work", root):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = try_lock(folder)
        except OSError:  # without locks two processes could be in it: a folder that nobody resumes
            with suppress(OSError):
                folder.rmdir()
            with temporary_folder(root, name) as fresh:
                yield fresh
            return
        if lock is None and folder.exists():
            raise RecobatchError(
                f"{folder}: found that another process writes the same, expected none; wait for its end"
            )
    try:
        sweep(root, name)
        yield folder
    finally:
        lock.close()


def machine_folder() -> Path:
    """Folder of this user below the one for temporary files; what dead processes left there is removed.

    Raises:
        RecobatchError: If the disk refuses it, or another user has made it.
    """
    root = Path(tempfile.gettempdir(), f"recobatch-{os.getuid()}")
    with explained("make a folder for temporary files", root):
        root.mkdir(mode=0o700, exist_ok=True)
        if root.stat().st_uid != os.getuid():
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    sweep(root)
    return root


def sweep(root: Path, name: str = "*") -> list[Path]:
    """Remove folders whose builder died, those of one name alone where others may lie; returns what was removed."""
    return [folder for folder in root.glob(f".{name}-*") if _OURS.fullmatch(folder.name) and _removed(folder)]


def _make_locked(root: Path, name: str) -> tuple[Path, FolderLock | None]:
    while True:
        folder = root / f".{name}-{uuid4().hex[:12]}"
        with explained("make a folder for the stage's output", root):
            folder.mkdir(parents=True)
        try:
            lock = try_lock(folder)
        except OSError:  # where a file system supports no locks, nothing is swept either
            return folder, None
        if lock is not None:
            return folder, lock


def _removed(folder: Path) -> bool:
    try:
        lock = try_lock(folder)
    except OSError:
        return False
    if lock is None:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    lock.close()
    return not folder.exists()
