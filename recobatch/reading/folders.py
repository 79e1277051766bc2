"""Every file below a folder or behind a glob, on this machine or in an object store."""

import glob
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from recobatch.addresses import Address
from recobatch.errors import BadRatings, RatingsUnreachable
from recobatch.reading.remote import filesystem_of, not_fetched, safe_cause

_T = TypeVar("_T")


@dataclass(frozen=True)
class Entry:
    """A file."""

    uri: str
    name: str
    """Its path below the folder, or below the part of a glob that has no wildcard; with forward slashes."""


def is_folder(address: Address) -> bool:
    """Whether a remote address is a folder; False where it cannot be found out: reading it will say what is wrong."""
    try:
        filesystem, remote, _ = filesystem_of(address)
        return bool(filesystem.isdir(remote))
    except Exception:  # noqa: BLE001 - each file system has its own exceptions
        return False


def walk(address: Address) -> Iterator[Entry]:
    """The files of a folder, or those that a glob matches; in no particular order.

    Raises:
        BadRatings: If the folder cannot be listed.
        RatingsUnreachable: If an object store does not answer.
    """
    if (local := address.local) is not None:
        yield from _walk_local(local)
        return
    filesystem, remote, as_uri = _asked(address, partial(filesystem_of, address))
    root, pattern = _divided(remote)
    matches = _asked(address, partial(filesystem.glob, remote)) if pattern else [remote]
    for match in matches:
        for path in _asked(address, partial(filesystem.find, match)):
            if not path.endswith("/"):  # a key that stands for a folder
                yield Entry(as_uri(path), _below(path, root))


def _walk_local(path: Path) -> Iterator[Entry]:
    root, _ = ("", "") if path.is_dir() else _divided(str(path))
    matches = [path] if path.is_dir() else map(Path, glob.iglob(str(path), recursive=True))  # noqa: PTH207 - absolute too
    for match in matches:
        for file in _files_below(match) if match.is_dir() else [match]:
            yield Entry(str(file), _below(str(file), root or str(path)))


def _files_below(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()

    def refuse(error: OSError) -> None:
        raise BadRatings(
            f"{error.filename or folder}: found a directory that cannot be listed ({error.strerror}), expected one "
            f"that this user may read; check its permissions"
        ) from error

    for here, below, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:  # a link to a folder above
            below.clear()
            continue
        seen.add(real)
        yield from (Path(here, name) for name in names)


def _divided(path: str) -> tuple[str, str]:
    """The folder before the first part with a wildcard, and the rest."""
    parts = PurePosixPath(path).parts
    first = next((place for place, part in enumerate(parts) if any(mark in part for mark in "*?[")), len(parts))
    return str(PurePosixPath(*parts[:first])) if first else "", "/".join(parts[first:])


def _below(path: str, root: str) -> str:
    return PurePosixPath(path).relative_to(root).as_posix() if root not in ("", ".") else path


def _asked(address: Address, ask: Callable[[], _T]) -> _T:
    try:
        return ask()
    except (FileNotFoundError, PermissionError, ImportError, ValueError) as error:
        raise BadRatings(
            f"{not_fetched(address.text, error)}; check the address, or download it and give the local path"
        ) from safe_cause(address.text, error)
    except Exception as error:  # noqa: BLE001 - each file system has its own exceptions
        raise RatingsUnreachable(
            f"{not_fetched(address.text, error)}; check the connection and your credentials, or download it and give "
            f"the local path"
        ) from safe_cause(address.text, error)
