"""A file that grows by whole pieces, and the list of them by which another process continues it."""

import os
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from recobatch.storage.durable import write_file

_LINE = re.compile(rb"\d+ \d+\n")


class GrowingFile:
    """The file ``rows`` of a folder, and beside it ``pieces``: where each piece ends, and its checksum.

    A piece counts once its line stands in the list, which is written after the bytes are on the disk. The folder
    belongs to one process at a time.
    """

    def __init__(self, folder: Path) -> None:
        """Open the file, made if missing, without what follows the last piece that is as it was written."""
        self.path, self._list = folder / "rows", folder / "pieces"
        self.path.touch()
        self._lines = self._whole()
        write_file(self._list, b"".join(self._lines))
        os.truncate(self.path, self.size)

    @property
    def size(self) -> int:
        """Bytes of all pieces."""
        return int(self._lines[-1].split()[0]) if self._lines else 0

    @property
    def n_pieces(self) -> int:
        return len(self._lines)

    def append(self, chunks: Iterable[bytes]) -> None:
        """Add a piece, which is durable afterwards.

        Raises:
            OSError: If the disk refuses it.
        """
        checksum, end = 0, self.size
        with self.path.open("ab") as file:
            for chunk in chunks:
                file.write(chunk)
                checksum, end = zlib.crc32(chunk, checksum), end + len(chunk)
            file.flush()
            os.fsync(file.fileno())
        with self._list.open("ab") as file:
            file.write(_line(end, checksum))
            file.flush()
            os.fsync(file.fileno())
        self._lines.append(_line(end, checksum))

    def _whole(self) -> list[bytes]:
        """Lines of the pieces up to the first that is damaged."""
        lines = self._list.read_bytes().splitlines(keepends=True) if self._list.exists() else []
        end = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(lines):
                start, end = end, int(line.split()[0]) if _LINE.fullmatch(line) else -1
                if line != _line(end, _checksum_of(file, end - start)) or file.tell() != end:
                    return lines[:number]
        return lines


def _checksum_of(file: BinaryIO, size: int) -> int:
    checksum = 0
    while size > 0 and (chunk := file.read(min(size, 1 << 24))):
        checksum, size = zlib.crc32(chunk, checksum), size - len(chunk)
    return checksum


def _line(end: int, checksum: int) -> bytes:
    return f"{end} {checksum}\n".encode()
