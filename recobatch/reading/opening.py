"""A path or URI → plain bytes on this machine: downloaded and decompressed, or refused with the reason."""

import bz2
import contextlib
import datetime
import lzma
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from recobatch.addresses import Address, holds_secret, masked, without_secrets
from recobatch.errors import BadRatings, RatingsUnreachable

NOTHING = "nothing there"
_SECONDS_TO_CONNECT = 10
_SECONDS_WITHOUT_A_BYTE = 60
_SECONDS_OF_RETRIES = 20

_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
}


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
            _download(address, path)
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


def _download(address: Address, path: Path) -> None:
    uri = address.text
    try:
        _fetch(address, path)
    except (FileNotFoundError, IsADirectoryError, PermissionError, ImportError, ValueError) as error:
        raise BadRatings(
            f"{not_fetched(uri, error)}; check the address, or download it and give the local path"
        ) from safe_cause(uri, error)
    except Exception as error:  # noqa: BLE001 - each file system has its own exceptions
        raise RatingsUnreachable(
            f"{not_fetched(uri, error)}; check the connection and your credentials, or download it and give the local "
            f"path"
        ) from safe_cause(uri, error)
    if not path.is_file():
        raise BadRatings(
            f"{without_secrets(uri)}: found a directory, expected a file; end the address of a folder with a slash"
        )


def _fetch(address: Address, path: Path) -> None:
    import fsspec  # the lazy import keeps local runs fast

    try:
        filesystem, remote = fsspec.core.url_to_fs(address.text, **_network_options(address.scheme))
    except ImportError:
        if address.scheme not in {"s3", "gs", "gcs"}:
            raise
        _fetch_by_arrow(address, path)
    else:
        filesystem.get_file(remote, str(path))


def _fetch_by_arrow(address: Address, path: Path) -> None:
    """Download from S3 or Google Cloud Storage with pyarrow."""
    import pyarrow.fs

    source, remote = _arrow_filesystem(address)
    if source.get_file_info(remote).type == pyarrow.fs.FileType.Directory:
        raise IsADirectoryError("a folder, whose address ends with a slash")
    pyarrow.fs.copy_files(remote, str(path), source, pyarrow.fs.LocalFileSystem())


def _arrow_filesystem(address: Address) -> tuple[Any, str]:
    import pyarrow.fs

    if address.scheme == "s3":
        source, remote = pyarrow.fs.FileSystem.from_uri(address.text)
        return source, str(remote)
    # Google's default is to retry for 15 minutes.
    source = pyarrow.fs.GcsFileSystem(retry_time_limit=datetime.timedelta(seconds=_SECONDS_OF_RETRIES))
    return source, f"{address.authority}{address.path}"


def filesystem_of(address: Address) -> tuple[Any, str, Callable[[str], str]]:
    """The file system of a remote address, to list it.

    Returns:
        An fsspec file system, the path in it, and what turns such a path back into an address.

    Raises:
        ImportError: If the scheme needs a package that is not installed.
    """
    import fsspec

    try:
        filesystem, remote = fsspec.core.url_to_fs(address.text, **_network_options(address.scheme))
    except ImportError:
        if address.scheme not in {"s3", "gs", "gcs"}:
            raise
        from fsspec.implementations.arrow import ArrowFSWrapper

        source, remote = _arrow_filesystem(address)
        prefix = f"{address.scheme}://{''.join(address.authority.rpartition('@')[:2])}"
        return ArrowFSWrapper(source), remote, lambda path: _with_query(prefix + path, address)
    return filesystem, remote, lambda path: _with_query(filesystem.unstrip_protocol(path), address)


def _with_query(uri: str, address: Address) -> str:
    """A query of an address holds options of its file system."""
    return f"{uri}?{address.query}" if address.query else uri


def not_fetched(uri: str, error: Exception) -> str:
    """Begin of the message for an address that cannot be read."""
    message = masked((str(error).strip().splitlines() or [""])[0].replace(uri, "it"))[:200]
    return (
        f"{without_secrets(uri)}: could not fetch it ({type(error).__name__}: {message}), "
        f"expected a file that can be read"
    )


def safe_cause(uri: str, error: Exception) -> Exception | None:
    """The cause; None if its traceback would log an address with a password."""
    return None if holds_secret(uri) else error


def _network_options(scheme: str) -> dict[str, object]:
    if scheme not in {"http", "https"}:
        return {}
    import aiohttp

    # fsspec's default aborts every download after five minutes.
    limits = aiohttp.ClientTimeout(total=None, sock_connect=_SECONDS_TO_CONNECT, sock_read=_SECONDS_WITHOUT_A_BYTE)
    return {"client_kwargs": {"timeout": limits}}


@contextlib.contextmanager
def opened(path: Path, where: str) -> Iterator[IO[bytes]]:
    """The bytes of a local file, decompressed if needed; the format is detected by its first bytes, not by its name.

    Args:
        path: The local file.
        where: Name of the file in error messages.

    Raises:
        BadRatings: If it is damaged, or a zip that does not hold exactly one file. Also for damage found while reading.
    """
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(_unpacked(path, where))
        except (EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise BadRatings(
                    f"{where}: found a file that cannot be read ({error.strerror}), expected a readable one; check the "
                    f"disk, or copy it elsewhere"
                ) from error
            raise BadRatings(
                f"{where}: found a damaged or cut-off compressed file ({error}), expected a whole one; "
                f"copy or compress it again"
            ) from error


def _unpacked(path: Path, where: str) -> contextlib.AbstractContextManager[IO[bytes]]:
    with path.open("rb") as file:
        head = file.read(8)
    packing = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
    match packing:
        case None:
            return path.open("rb")
        case "zip":
            return _only_member(path, where)
        case "bz2":
            return bz2.open(path, "rb")
        case "xz":
            return lzma.open(path, "rb")
        case _:
            return pa.input_stream(str(path), compression=packing)


@contextlib.contextmanager
def _only_member(path: Path, where: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if "[Content_Types].xml" in names:
            raise BadRatings(f"{where}: found an Excel workbook, expected csv or parquet; export the sheet as csv")
        if len(names) != 1:
            shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            raise BadRatings(
                f"{where}: found a zip with {len(names)} files ({shown}), expected one; unpack it and pass one file"
            )
        with archive.open(names[0]) as member:
            yield member


def is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(8)
    return any(head.startswith(magic) for magic in _PACKED)
