"""Remote addresses: their file systems, with limits on how long a server may be silent, and what is read from them.

A run holds the table's lock meanwhile. With the three attempts at an ingest, a server that takes connections and never
answers costs less than two minutes.
"""

import datetime
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recobatch.addresses import Address, holds_secret, masked, without_secrets
from recobatch.errors import BadRatings, RatingsUnreachable

_SECONDS_TO_CONNECT = 10
_SECONDS_TO_IDENTIFY = 15
"""Without a byte, of each of two requests for the headers of a web address."""
_SECONDS_WITHOUT_A_BYTE = 60
"""Of a download: a server may first have to make the file. Such a silence is not waited for again."""
_SECONDS_OF_S3 = 4
"""Without a byte, of each of three attempts at a request to S3."""
_SECONDS_OF_RETRIES = 12
"""Of requests to Google Cloud Storage, whose own default is 15 minutes."""


def download(address: Address, path: Path) -> None:
    """Copy a remote file to this machine.

    Raises:
        BadRatings: If there is no such file, or the server stays silent.
        RatingsUnreachable: If it failed otherwise.
    """
    uri = address.text
    try:
        _fetch(address, path)
    except (FileNotFoundError, IsADirectoryError, PermissionError, ImportError, ValueError) as error:
        raise BadRatings(
            f"{not_fetched(uri, error)}; check the address, or download it and give the local path"
        ) from safe_cause(uri, error)
    except Exception as error:  # noqa: BLE001 - each file system has its own exceptions
        if _is_silence(error):
            raise BadRatings(
                f"{without_secrets(uri)}: found a server that sent nothing for {_SECONDS_WITHOUT_A_BYTE} s, expected a "
                f"file; check the server, or download it and give the local path"
            ) from safe_cause(uri, error)
        raise RatingsUnreachable(
            f"{not_fetched(uri, error)}; check the connection and your credentials, or download it and give the local "
            f"path"
        ) from safe_cause(uri, error)
    if not path.is_file():
        raise BadRatings(
            f"{without_secrets(uri)}: found a directory, expected a file; end the address of a folder with a slash"
        )


def identity(uri: str) -> Mapping[str, Any] | None:
    """What changes with the content at a remote address, as JSON values; None if that cannot be found out.

    The headers of a web page, the attributes (etag, size, time) in another file system.
    """
    import fsspec  # lazy, as below

    address = Address.parse(uri)
    try:
        filesystem, remote = fsspec.core.url_to_fs(uri, **_network_options(address.scheme, _SECONDS_TO_IDENTIFY))
        if address.scheme not in {"http", "https"}:
            return {"key": str(filesystem.ukey(remote))}
        info = filesystem.info(remote)  # fsspec's own key of a web page is its address, whatever is there
    except Exception:  # noqa: BLE001 - each file system has its own; the download reports what is wrong
        return None
    headers = {name: info.get(name) for name in ("ETag", "Content-MD5", "Digest", "Last-Modified")}
    if not any(headers.values()):
        return None
    return {**headers, "size": info.get("size"), "address": without_secrets(uri)}


def _fetch(address: Address, path: Path) -> None:
    if (found := _fsspec_filesystem(address)) is not None:
        filesystem, remote = found
        filesystem.get_file(remote, str(path))
    else:
        _fetch_by_arrow(address, path)


def _fsspec_filesystem(address: Address) -> tuple[Any, str] | None:
    """A file system by fsspec and the path in it; None where pyarrow has one and fsspec lacks a package."""
    import fsspec  # the lazy import keeps local runs fast

    try:
        found = fsspec.core.url_to_fs(address.text, **_network_options(address.scheme, _SECONDS_WITHOUT_A_BYTE))
    except ImportError:
        if address.scheme not in {"s3", "gs", "gcs"}:
            raise
        return None
    return found[0], str(found[1])


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
        without_limits, remote = pyarrow.fs.FileSystem.from_uri(address.text)
        _, (options, *_rest) = without_limits.__reduce__()  # from_uri takes no limits: its default is minutes
        limits = {
            "connect_timeout": _SECONDS_OF_S3, "request_timeout": _SECONDS_OF_S3,
            "retry_strategy": pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=3),
        }  # fmt: skip
        return pyarrow.fs.S3FileSystem(**options | limits), str(remote)
    source = pyarrow.fs.GcsFileSystem(retry_time_limit=datetime.timedelta(seconds=_SECONDS_OF_RETRIES))
    return source, f"{address.authority}{address.path}"


def filesystem_of(address: Address) -> tuple[Any, str, Callable[[str], str]]:
    """The file system of a remote address, to list it.

    Returns:
        An fsspec file system, the path in it, and what turns such a path back into an address.

    Raises:
        ImportError: If the scheme needs a package that is not installed.
    """
    if (found := _fsspec_filesystem(address)) is not None:
        filesystem, remote = found
        return filesystem, remote, lambda path: _with_query(filesystem.unstrip_protocol(path), address)
    from fsspec.implementations.arrow import ArrowFSWrapper

    source, remote = _arrow_filesystem(address)
    prefix = f"{address.scheme}://{''.join(address.authority.rpartition('@')[:2])}"
    return ArrowFSWrapper(source), remote, lambda path: _with_query(prefix + path, address)


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


def _network_options(scheme: str, seconds_without_a_byte: float) -> dict[str, object]:
    if scheme not in {"http", "https"}:
        return {}
    import aiohttp

    # fsspec's default aborts every download after five minutes, and waits as long for every answer.
    limits = aiohttp.ClientTimeout(total=None, sock_connect=_SECONDS_TO_CONNECT, sock_read=seconds_without_a_byte)
    return {"client_kwargs": {"timeout": limits}}


def _is_silence(error: Exception) -> bool:
    """Whether a web server took the connection and then sent nothing."""
    import aiohttp

    return any(isinstance(each, aiohttp.SocketTimeoutError) for each in (error, error.__cause__))
