"""Changes to the disk that survive a crash, and one clear line when the disk refuses them.

Every call that changes a published table goes through ``os`` functions that the fault tests replace one by one.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recobatch.errors import RecobatchError

TEMPORARY = ".tmp-"
"""Prefix of files and links that exist for an instant; any that is found may be removed."""

_HINTS = {
    errno.ENOSPC: "free space there and run again",
    errno.EDQUOT: "free space there and run again",
    errno.EROFS: "mount it writable or choose another folder",
    errno.EACCES: "give this user write permission or choose another folder",
    errno.EPERM: "give this user write permission or choose another folder",
    errno.EIO: "the disk reports a fault: check it, then run again",
    errno.ENOENT: "another process removed it: run again",
    errno.ENOTDIR: "a file lies where a folder is needed: move it or choose another folder",
}

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


@contextmanager
def explained(action: str, path: Path, *, outcome: str = "nothing was published") -> Iterator[None]:
    """Turn an ``OSError`` of the body into one line: found, expected, where, hint.

    Args:
        action: What was being done, as in "write the shard".
        path: Where.
        outcome: What the failure leaves behind.

    Raises:
        RecobatchError: In place of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise RecobatchError(refusal(error, action, path, outcome=outcome)) from error


def is_disk_trouble(error: BaseException | None) -> bool:
    """Whether the disk is full, damaged or read-only, as opposed to an error of the program."""
    return isinstance(error, OSError) and error.errno in _DISK_ERRORS


def refusal(error: OSError, action: str, path: Path, *, outcome: str = "nothing was published") -> str:
    """One line for an ``OSError``; see ``explained``."""
    hint = _HINTS.get(error.errno or 0, "look at the folder and run again")
    reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
    return (
        f"{path}: found that the disk refused to {action} ({reason}), expected a working, writable folder; "
        f"{outcome}; {hint}"
    )


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder survive a crash."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_file(path: Path) -> None:
    """Make the content of a file survive a crash."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Replace a file in one step: a reader sees the old content or the new. Fsync its folder afterwards.

    Args:
        path: The file.
        content: All of it.
        mode: Permissions, of which the umask leaves out some.
    """
    unfinished = path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(4)}")
    try:
        with open(unfinished, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def swap_link(link: Path, target: Path) -> None:
    """Point a relative symlink at ``target`` in one step. Fsync its folder afterwards."""
    unfinished = link.with_name(f"{TEMPORARY}{link.name}-{secrets.token_hex(4)}")
    try:
        unfinished.symlink_to(target)
        unfinished.replace(link)
    except OSError:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file where the file system can, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
