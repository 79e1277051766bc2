"""Finished outputs of stages: whether one is whole, whether a run uses it, and the removal of what none uses.

``done.json`` is an output's list of files, and the file that its users lock. Nothing is replaced: no two builds of an
output have the same name.
"""

import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recobatch.storage.fingerprints import file_digests, fingerprint
from recobatch.storage.folder_lock import FolderLock, try_lock, try_lock_file

DONE = "done.json"
_OURS = re.compile(r"\.?[a-z][\w-]*-[0-9a-f]{12,40}")
"""Names of outputs, of unfinished outputs, and of outputs of earlier releases."""


class InUse:
    """The outputs that a run uses, locked against their removal by others until it releases them."""

    def __init__(self) -> None:
        self._locks: dict[Path, FolderLock | None] = {}

    def __contains__(self, folder: Path) -> bool:
        return folder in self._locks

    def add(self, folder: Path, *, now_at: Path | None = None) -> bool:
        """Lock an output, under the name that it is about to get, if it lies elsewhere now.

        Returns:
            Whether it may be used; not if it does not exist, or is being removed.
        """
        if folder not in self._locks:
            try:
                lock = try_lock_file((now_at or folder) / DONE, shared=True)
            except OSError:  # a file system without locks
                self._locks[folder] = None
                return True
            if lock is None:
                return False
            self._locks[folder] = lock
        return True

    def release(self, folder: Path) -> None:
        """Let others remove an output."""
        if (lock := self._locks.pop(folder, None)) is not None:
            lock.close()

    def release_all(self) -> None:
        """Let others remove all outputs."""
        for folder in list(self._locks):
            self.release(folder)


def finish(folder: Path, report: Mapping[str, Any]) -> None:
    """Write the list of an output's files, with their digests, and its report."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [str(path.relative_to(folder)) for path in paths]
    files = dict(zip(names, file_digests(paths), strict=True))
    done = {"files": files, "report": report}
    (folder / DONE).write_text(json.dumps({**done, "sha256": fingerprint(done)}))


def parse_done(listing: bytes) -> dict[str, Any] | None:
    """The ``files`` and the ``report`` in a ``done.json``; None if it is not as it was written."""
    try:
        done = json.loads(listing)
        whole: bool = done.pop("sha256") == fingerprint(done)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return done if whole else None


def read_whole(folder: Path) -> dict[str, Any] | None:
    """The report of a finished output whose files are all as they were written, else None."""
    try:
        done = parse_done((folder / DONE).read_bytes())
        files = done["files"] if done else {}
        intact = file_digests([folder / name for name in files]) == list(files.values())
    except OSError:
        return None
    return done["report"] if done and intact else None


def last_used(folder: Path) -> float:
    """Seconds since the epoch; 0 for a folder that is gone."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def list_outputs(root: Path, *, keep_days: float) -> list[tuple[Path, str | None]]:
    """The outputs in a workspace, each with why it is kept; None where no run has used it for ``keep_days`` days."""
    oldest = time.time() - keep_days * 86_400
    ours = sorted(folder for folder in (root.iterdir() if root.is_dir() else ()) if _OURS.fullmatch(folder.name))
    return [(folder, _why_kept(folder, oldest, keep_days)) for folder in ours if folder.is_dir()]


def remove_unused(folder: Path) -> None:
    """Remove an output unless a run uses it."""
    with _unused(folder) as is_unused:
        if is_unused:
            shutil.rmtree(folder, ignore_errors=True)


def _why_kept(folder: Path, oldest: float, keep_days: float) -> str | None:
    if last_used(folder) >= oldest:
        return f"used within {keep_days:g} days (work.keep_days)"
    with _unused(folder) as is_unused:
        return None if is_unused else "in use by a run"


@contextmanager
def _unused(folder: Path) -> Iterator[bool]:
    """Whether no run uses an output, nor begins to within the block; taken as so where there are no locks."""
    marker = folder if folder.name.startswith(".") else folder / DONE
    try:
        lock = try_lock(folder) if marker is folder else try_lock_file(marker, shared=False)
    except OSError:
        yield True
        return
    try:
        yield lock is not None or not marker.exists()
    finally:
        if lock is not None:
            lock.close()
