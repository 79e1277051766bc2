"""The bytes of a local file, decompressed; damage anywhere is refused, and a file that grows beyond reason."""

import contextlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa

from recobatch.errors import BadRatings

_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
}
_CHUNK_BYTES = 1 << 20
_USUAL_BYTES = 1 << 27
_USUAL_RATIO = 100
"""Ratings shrink to a third or a tenth, in parquet to a thirtieth; only what is made for it shrinks a hundredfold."""


@contextlib.contextmanager
def opened(path: Path, where: str, max_bytes: int | None = None) -> Iterator[IO[bytes]]:
    """The bytes of a local file, decompressed if needed; the format is detected by its first bytes, not by its name.

    Args:
        path: The local file.
        where: Name of the file in error messages.
        max_bytes: See ``most_bytes``.

    Raises:
        BadRatings: If it is damaged, larger than that once it is decompressed, or a zip that does not hold exactly one
            readable file. Also for what is found while reading.
    """
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(_unpacked(path, where, max_bytes))
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


def is_packed(path: Path) -> bool:
    return _packing(path) is not None


def most_bytes(path: Path, max_bytes: int | None) -> int:
    """Bytes that a compressed file may hold: ``max_bytes``; without it 128 MiB, or a hundred times its own size."""
    return max_bytes or max(_USUAL_BYTES, _USUAL_RATIO * path.stat().st_size)


def _packing(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(8)
    return next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)


def _unpacked(path: Path, where: str, max_bytes: int | None) -> contextlib.AbstractContextManager[IO[bytes]]:
    packing = _packing(path)
    return path.open("rb") if packing is None else _limited(path, packing, where, max_bytes)


@contextlib.contextmanager
def _limited(path: Path, packing: str, where: str, max_bytes: int | None) -> Iterator[IO[bytes]]:
    with contextlib.ExitStack() as stack:
        stream: IO[bytes]
        if packing == "zip":
            stream = stack.enter_context(_only_member(path, where))
        elif packing == "xz":
            stream = io.BufferedReader(_XzStreams(stack.enter_context(path.open("rb"))), _CHUNK_BYTES)
        else:
            stream = stack.enter_context(pa.input_stream(str(path), compression=packing))
        yield io.BufferedReader(_Limited(stream, path, where, most_bytes(path, max_bytes)), _CHUNK_BYTES)


@contextlib.contextmanager
def _only_member(path: Path, where: str) -> Iterator[IO[bytes]]:
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
            member = stack.enter_context(archive.open(_only_name(archive.namelist(), where)))
        except (RuntimeError, UnicodeDecodeError) as error:  # a password, an unknown method or version, a damaged name
            raise BadRatings(
                f"{where}: found a zip that cannot be unpacked here ({error}), expected a whole one without a "
                f"password, packed by deflate, bzip2 or LZMA; unpack it and pass the file"
            ) from error
        yield member


def _only_name(names: list[str], where: str) -> str:
    names = [name for name in names if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if "[Content_Types].xml" in names:
        raise BadRatings(f"{where}: found an Excel workbook, expected csv or parquet; export the sheet as csv")
    if len(names) != 1:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise BadRatings(
            f"{where}: found a zip with {len(names)} files ({shown}), expected one; unpack it and pass one file"
        )
    return names[0]


class _XzStreams(io.RawIOBase):
    """The streams of an xz file; ``lzma.open`` takes a damaged one after the first for the end of the file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        self._ahead = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._stream.eof or self._begin_next():
            packed = self._read() if self._stream.needs_input else b""
            if self._stream.needs_input and not packed:
                raise EOFError("the last stream has no end")
            if content := self._stream.decompress(packed, len(buffer)):
                buffer[: len(content)] = content
                return len(content)
        return 0

    def _begin_next(self) -> bool:
        """Whether there is another stream, after padding."""
        self._ahead = self._stream.unused_data
        while packed := self._read():
            if packed := packed.lstrip(b"\0"):
                self._ahead, self._stream = packed, lzma.LZMADecompressor(lzma.FORMAT_XZ)
                return True
        return False

    def _read(self) -> bytes:
        packed, self._ahead = self._ahead or self._file.read(_CHUNK_BYTES), b""
        return packed


class _Limited(io.RawIOBase):
    """A decompressed stream that is refused where it grows beyond ``limit`` bytes."""

    def __init__(self, stream: IO[bytes], path: Path, where: str, limit: int) -> None:
        self._stream, self._path, self._where = stream, path, where
        self._limit = self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._stream.read(len(buffer))
        self._left -= len(content)
        if self._left < 0:
            raise too_large(f"more than {self._limit:,} bytes", self._path, self._where, self._limit)
        buffer[: len(content)] = content
        return len(content)


def too_large(found: str, path: Path, where: str, limit: int) -> BadRatings:
    """The error for a file that holds far more than its size lets expect."""
    return BadRatings(
        f"{where}: found {found} in a compressed file of {path.stat().st_size:,}, expected at most {limit:,}; if it is "
        f"meant to grow so much, pass --set ingest.max_bytes=N"
    )
