"""Delimited text → columns: typed and multithreaded if the file allows, as text otherwise."""

import codecs
import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from recobatch.errors import BadRatings
from recobatch.reading.ids import ids_from_texts, recoded
from recobatch.reading.layout import Layout
from recobatch.reading.numbers import ratings_from, times_from
from recobatch.reading.packed import opened
from recobatch.reading.partitions import with_partitions
from recobatch.reading.raw import NAN_TEXTS, NULL_TEXTS, Ids, RawRatings, Unreadable

_BLOCK_BYTES = 1 << 23
_QUOTED_CHARACTERS = 200
_TEXT = pa.dictionary(pa.int32(), pa.binary())
_SUBSTITUTE = b"\x1f"
"""Replaces ``::``: pyarrow's csv reader accepts one-character delimiters only."""
_Source: TypeAlias = Callable[[], AbstractContextManager[IO[bytes]]]
"""Opens the file's text."""


@dataclass(frozen=True)
class _ReadMode:
    """One way to read a file; modes are tried from the fastest to the most tolerant."""

    typed: frozenset[str]
    """Roles whose numbers are parsed while reading; a value that is not a number makes the attempt fail."""
    tolerant: bool
    """Rows of the wrong width are collected; on one thread, since pyarrow numbers rows only then."""
    multiline: bool
    """A quoted field may contain line ends; a stray quotation mark may make the attempt fail."""


def read_text(path: Path, layout: Layout, where: str, max_bytes: int | None = None) -> RawRatings:
    """Read all rows of a text file.

    Args:
        path: Local file, possibly packed.
        layout: Result of ``sniff``.
        where: Name of the file in error messages.
        max_bytes: See ``most_bytes``.

    Raises:
        BadRatings: If the text cannot be parsed.
    """
    typed = frozenset({"rating", "time"} if layout.time_is_integer else {"rating"}) & layout.in_file().keys()
    mode = _ReadMode(typed, tolerant=False, multiline=layout.quoted)
    source = partial(opened, path, where, max_bytes)
    while True:
        try:
            table, unreadable = _read(source, layout, mode, layout.in_file())
            return _assembled(_without_nan_ids(table, source, layout, mode), unreadable, layout)
        except pa.ArrowInvalid as error:
            message = str(error).splitlines()[0][:120]
            if mode.typed and "conversion error" in message:
                mode = replace(mode, typed=mode.typed - _failed_roles(message, layout))
            elif not mode.tolerant:
                mode = replace(mode, tolerant=True, multiline=layout.quoting)
            elif mode.multiline:
                mode = replace(mode, multiline=False)
            else:
                raise BadRatings(
                    f"{where}: found text that cannot be split into lines ({message}), expected one rating a line; "
                    f"check the quotation marks, and that no line exceeds {_BLOCK_BYTES:,} bytes"
                ) from error


def _read(
    source: _Source, layout: Layout, mode: _ReadMode, roles: Mapping[str, int], nulls: Sequence[str] = NULL_TEXTS
) -> tuple[pa.Table, list[Unreadable]]:
    unreadable: list[Unreadable] = []

    def collect(row: pa.csv.InvalidRow) -> str:
        # After a stray quotation mark one record may contain many lines, each of them a lost rating.
        lines = re.split(r"\r\n|\n|\r", _bytes_of(row.text).decode(errors="replace"))
        unreadable.extend(
            Unreadable(row.number, line[:_QUOTED_CHARACTERS], offset) for offset, line in enumerate(lines)
        )
        return "skip"

    narrowed = len(layout.delimiter) > 1
    with source() as stream:
        table = pa.csv.read_csv(
            _ReplacedDelimiter(stream, layout.delimiter.encode()) if narrowed else stream,
            pa.csv.ReadOptions(
                use_threads=not mode.tolerant, block_size=_BLOCK_BYTES, skip_rows=layout.skip,
                column_names=[str(position) for position in range(len(layout.names))],
                # pyarrow passes invalid rows as text; Latin-1 decodes any bytes and encodes them back.
                encoding="latin-1" if mode.tolerant else "utf8",
            ),
            pa.csv.ParseOptions(
                delimiter=_SUBSTITUTE.decode() if narrowed else layout.delimiter,
                quote_char='"' if layout.quoting else False, newlines_in_values=mode.multiline,
                invalid_row_handler=collect if mode.tolerant else None,
            ),
            pa.csv.ConvertOptions(
                check_utf8=False, include_columns=[str(position) for position in roles.values()],
                column_types=_types(roles, mode),
                null_values=nulls, strings_can_be_null=True, quoted_strings_can_be_null=False,
            ),
        )  # fmt: skip
    columns = [_as_bytes(column) if mode.tolerant and column.type == _TEXT else column for column in table.columns]
    return pa.table(dict(zip(roles, columns, strict=True))), unreadable


def _without_nan_ids(table: pa.Table, source: _Source, layout: Layout, mode: _ReadMode) -> pa.Table:
    """The table with ids of ``nan`` as nulls, unless they are quoted.

    Ratings keep theirs, and pyarrow takes one list of nulls for all columns: if there are any, the ids are read again.
    """
    ids = {role: place for role, place in layout.in_file().items() if role in {"user", "item"}}
    if any(_has_nan(table[role]) for role in ids):
        again, _ = _read(source, layout, mode, ids, NULL_TEXTS + NAN_TEXTS)
        for role in ids:
            table = table.set_column(table.column_names.index(role), role, again[role])
    return table


def _has_nan(column: pa.ChunkedArray) -> bool:
    wanted = pa.array(NAN_TEXTS, pa.binary())
    return any(pc.any(pc.is_in(chunk.dictionary, value_set=wanted)).as_py() for chunk in column.chunks)


def _types(roles: Mapping[str, int], mode: _ReadMode) -> dict[str, pa.DataType]:
    numbers = {"rating": pa.float64(), "time": pa.int64()}
    return {str(place): numbers[role] if role in mode.typed else _TEXT for role, place in roles.items()}


def _failed_roles(message: str, layout: Layout) -> set[str]:
    """The roles whose column pyarrow's error names; all typed roles if it names none."""
    match = re.search(r"CSV column #(\d+)", message)
    failed = {role for role, place in layout.in_file().items() if match and place == int(match[1])}
    return failed & {"rating", "time"} or {"rating", "time"}


def _as_bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The original bytes of a column that was read as Latin-1."""
    codes, values = recoded(column)
    plain = pa.array([_bytes_of(value.decode()).removeprefix(codecs.BOM_UTF8) for value in values.to_pylist()],
                     pa.binary())  # fmt: skip
    return pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), plain)])


def _bytes_of(text: str) -> bytes:
    return text.encode("latin-1")


def _assembled(table: pa.Table, unreadable: list[Unreadable], layout: Layout) -> RawRatings:
    columns = {role: layout.name_of(position) for role, position in layout.columns.by_role().items()}
    table = with_partitions(table, columns, layout.partitions)
    rating, rating_state = ratings_from(table["rating"])
    if "time" in table.column_names:
        timestamp, time_state = times_from(table["time"])
    else:
        timestamp, time_state = np.full(len(table), RawRatings.NO_TIME), None
    return RawRatings(
        _ids(table, "user", layout), _ids(table, "item", layout),
        rating, rating_state, timestamp, time_state, columns=columns,
        records=_records(len(table), unreadable, first=1 + layout.skip),
        skipped=layout.skip,
        unreadable=tuple(unreadable),
        texts={name: table[name] for name in table.column_names},
    )  # fmt: skip


def _ids(table: pa.Table, role: str, layout: Layout) -> Ids:
    return ids_from_texts(table[role], nulls_are_read=role in layout.in_file())


def _records(n_rows: int, unreadable: list[Unreadable], *, first: int) -> np.ndarray | None:
    lost = [row.record - first for row in unreadable if row.offset == 0]
    if first == 1 and not lost:
        return None
    return np.delete(np.arange(first, first + n_rows + len(lost)), lost)


class _ReplacedDelimiter(io.RawIOBase):
    """A stream with each ``::`` replaced by one character."""

    def __init__(self, stream: IO[bytes], delimiter: bytes) -> None:
        self._stream = stream
        self._delimiter = delimiter
        self._held = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while True:
            chunk = self._stream.read(size)
            block = (self._held + chunk).replace(self._delimiter, _SUBSTITUTE)
            # A delimiter may straddle two reads: its possible first half is kept for the next read.
            partial = bool(chunk) and block.endswith(self._delimiter[:1])
            self._held = self._delimiter[:1] if partial else b""
            block = block.removesuffix(self._held)
            if block or not chunk:
                return block
