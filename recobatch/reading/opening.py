"""A path or URI → a file on this machine: downloaded if need be, or refused with the reason."""

import contextlib
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from recobatch.addresses import Address
from recobatch.errors import BadRatings
from recobatch.reading.remote import download

NOTHING = "nothing there"


@contextlib.contextmanager
def localized(uri: str) -> Iterator[Path]:
    """A local file with the content of ``uri``, which is downloaded first if it is remote.

    Raises:
        BadRatings: If there is no such file, or it cannot be fetched or read.
    """
    address = Address.parse(uri)
    if address.local is not None:
        yield _readable_file(address.local)
    else:
        with tempfile.TemporaryDirectory(prefix="recobatch-") as folder:
            path = Path(folder, "ratings")
            download(address, path)
            yield path


def _readable_file(path: Path) -> Path:
    found = why_unreadable(path)
    if found is None:
        return path
    raise BadRatings(
        f"{path}: found {found}, expected a readable ratings file; check the path, or pass the path of one file"
    )


def why_unreadable(path: Path) -> str | None:
    """Why the path is not a regular, readable file; None if it is one."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return "a directory"
        if not stat.S_ISREG(mode):  # opening a pipe would consume from it
            return "a pipe or a device, which cannot be read twice"
        path.open("rb").close()
    except FileNotFoundError:
        return NOTHING
    except PermissionError:
        return "a file that this user may not read (permission denied)"
    except (OSError, ValueError) as error:
        return f"a path that cannot be opened ({error})"
    return None
