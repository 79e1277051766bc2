"""Parquet files put together without decoding them: their row groups as they are, and one footer for all.

A footer is a struct in Thrift's compact protocol (parquet-format: ``parquet.thrift``; Thrift:
``thrift-compact-protocol.md``). In it only the places of the columns and the numbers of the row groups change.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.errors import BadTable
from recobatch.table.pieces import Piece

MAGIC = b"PAR1"
_CHUNK = 1 << 24
_SCHEMA, _N_ROWS, _GROUPS = 2, 3, 4
"""Fields of FileMetaData that are joined; the others are those of the first file."""
_PLACES = {(5,), (1, 2), (1, 4), (1, 6), (1, 3, 9), (1, 3, 10), (1, 3, 11), (1, 3, 14)}
"""What counts bytes from the start of the file in a RowGroup: its file_offset, and of its columns file_offset,
offset_index_offset, column_index_offset, and the offsets of data, index and dictionary pages and the bloom filter."""
_ORDINAL = (7,)
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)


def raw_piece(piece: Piece) -> Iterator[bytes]:
    """The bytes of a piece's row groups and of what lies between and behind them."""
    at = _start(piece.metadata, piece.groups.start)
    with _opened(piece.file) as file:
        ends = piece.groups.stop == piece.metadata.num_row_groups
        end = file.size() - _tail(piece.metadata) if ends else _start(piece.metadata, piece.groups.stop)
        file.seek(at)
        while at < end and (chunk := file.read(min(end - at, _CHUNK))):
            yield chunk
            at += len(chunk)


def joined_footer(pieces: Sequence[Piece]) -> bytes:
    """What follows the bytes of all pieces in one file that starts with ``MAGIC``.

    Raises:
        BadTable: If the files have different columns, or footers of an unknown kind.
    """
    groups, shift, n_rows = _Groups(), 0, 0
    fields: dict[int, tuple[int, bytes]] = {}
    for piece in (piece for piece in pieces if piece.groups.start == 0):
        with _opened(piece.file) as file:
            size = file.size() - _tail(piece.metadata)
            file.seek(size)
            found = _fields(file.read(piece.metadata.serialized_size))
        fields = fields or dict(found)
        if found[_SCHEMA] != fields[_SCHEMA]:
            raise BadTable(
                f"{piece.file}: found other columns than in the first file, expected the same; export as csv"
            )
        groups.add(found[_GROUPS][1], shift)
        shift, n_rows = shift + size - len(MAGIC), n_rows + piece.metadata.num_rows
    fields[_N_ROWS] = (_I64, _varint(n_rows << 1))
    fields[_GROUPS] = (_LIST, groups.as_list())
    footer = _struct(fields)
    return footer + len(footer).to_bytes(4, "little") + MAGIC


@dataclass
class _Groups:
    """Row groups of several files as they are encoded."""

    encoded: bytearray = field(default_factory=bytearray)
    count: int = 0

    def add(self, listed: bytes, shift: int) -> None:
        """Add those of a file, which lie ``shift`` bytes further on than in it."""
        reader = _Reader(listed, self.encoded, shift, self.count)
        size, kind = reader.list_header()
        for _ in range(size):
            reader.copy(kind)
        self.count += size

    def as_list(self) -> bytes:
        return bytes([0xF0 | _STRUCT]) + _varint(self.count) + bytes(self.encoded)


class _Reader:
    """Copies encoded values, with the places among them moved."""

    def __init__(self, data: bytes, out: bytearray, shift: int = 0, ordinal: int = 0) -> None:
        self.data, self.at, self.out, self.shift, self.ordinal = data, 0, out, shift, ordinal

    def copy(self, kind: int, path: tuple[int, ...] = ()) -> None:
        """Copy a value of a kind; ``path`` are the ids of the fields that lead to it."""
        if kind == _STRUCT:
            before = 0
            while head := self.take(1)[0]:
                before = self.field_id(head, before)
                self.out += bytes([head]) if head >> 4 else bytes([head]) + _varint(before << 1)
                self.copy(head & 15, (*path, before))
            self.out.append(0)
        elif kind in (_LIST, _SET):
            start = self.at
            size, element = self.list_header()
            self.out += self.data[start : self.at]
            for _ in range(size):
                self.copy(_BYTE if element in (_TRUE, _FALSE) else element, path)
        elif kind in (_I16, _I32, _I64):
            number = self.varint()
            value = self.moved((number >> 1) ^ -(number & 1), path)
            self.out += _varint(value << 1 if value >= 0 else ~(value << 1))
        elif kind == _BINARY:
            size = self.varint()
            self.out += _varint(size) + self.take(size)
        elif kind not in (_TRUE, _FALSE):
            self.out += self.take(self.width(kind))

    def moved(self, value: int, path: tuple[int, ...]) -> int:
        if path == _ORDINAL:
            return value + self.ordinal
        return value + self.shift if value and path in _PLACES else value

    def list_header(self) -> tuple[int, int]:
        head = self.take(1)[0]
        return (self.varint() if head >> 4 == 15 else head >> 4), head & 15

    def field_id(self, head: int, before: int) -> int:
        return before + (head >> 4) if head >> 4 else self.varint() >> 1

    def varint(self) -> int:
        value = bits = 0
        while (byte := self.take(1)[0]) & 0x80:
            value, bits = value | (byte & 0x7F) << bits, bits + 7
        return value | byte << bits

    def take(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self.data):
            raise BadTable("footer: found fewer bytes than it lists, expected a parquet file that is whole")
        return self.data[self.at - size : self.at]

    @staticmethod
    def width(kind: int) -> int:
        if kind not in (_BYTE, _DOUBLE):
            raise BadTable(f"footer: found a value of Thrift's type {kind}, expected another; export as csv")
        return 1 if kind == _BYTE else 8


def _fields(encoded: bytes) -> dict[int, tuple[int, bytes]]:
    """Fields of a struct: id → kind and encoded value."""
    fields, out, field_id = {}, bytearray(), 0
    reader = _Reader(encoded, out)
    while head := reader.take(1)[0]:
        field_id = reader.field_id(head, field_id)
        start = len(out)
        reader.copy(head & 15, (0, field_id))
        fields[field_id] = (head & 15, bytes(out[start:]))
    return fields


def _struct(fields: dict[int, tuple[int, bytes]]) -> bytes:
    out, before = bytearray(), 0
    for field_id, (kind, value) in sorted(fields.items()):
        out += bytes([(field_id - before) << 4 | kind]) + value
        before = field_id
    return bytes(out) + b"\0"


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def _start(metadata: pq.FileMetaData, group: int) -> int:
    """Where a row group begins in its file."""
    if group == 0:
        return len(MAGIC)
    columns = (metadata.row_group(group).column(number) for number in range(metadata.num_columns))
    return min(column.dictionary_page_offset or column.data_page_offset for column in columns)


def _tail(metadata: pq.FileMetaData) -> int:
    """Bytes of a file's footer, with its size and magic number."""
    return int(metadata.serialized_size) + 4 + len(MAGIC)


def _opened(file: Path | pa.NativeFile) -> AbstractContextManager[pa.NativeFile]:
    return pa.OSFile(str(file)) if isinstance(file, Path) else nullcontext(file)
