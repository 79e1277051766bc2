"""Delimited text → columns: typed and threaded where the file allows, text by text where it does not."""

import codecs
import io
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from recobatch.errors import BadRatings
from recobatch.reading.ids import ids_from_texts, recoded
from recobatch.reading.layout import Layout
from recobatch.reading.numbers import ratings_from, times_from
from recobatch.reading.opening import opened
from recobatch.reading.raw import NULL_TEXTS, RawRatings, Unreadable

_BLOCK_BYTES = 1 << 23
_QUOTED_CHARACTERS = 200
_TEXT = pa.dictionary(pa.int32(), pa.binary())
_STAND_IN = b"\x1f"
"""Takes the place of ``::``, since the reader splits at one character only."""


@dataclass(frozen=True)
class _Effort:
    """One way to read a file, from the fastest to the one that forgives most."""

    typed: frozenset[str]
    """Roles whose numbers are parsed while reading; one that is no number ends the attempt."""
    forgiving: bool
    """Rows of the wrong width are collected, on one thread, since only that one tells where they are."""
    multiline: bool
    """A quoted field may hold line ends wherever it stands; a stray quotation mark may end the attempt."""


def read_text(path: Path, layout: Layout, where: str) -> RawRatings:
    """Read all rows of a text file.

    Args:
        path: Local file, possibly packed.
        layout: What ``sniff`` told of it.
        where: What to call it in an error message.

    Raises:
        BadRatings: If the text cannot be taken apart at all.
    """
    typed = frozenset({"rating", "time"} if layout.time_is_integer else {"rating"})
    effort = _Effort(typed, forgiving=False, multiline=layout.quoted)
    while True:
        try:
            return _assembled(*_read(path, layout, effort, where), layout)
        except pa.ArrowInvalid as error:
            said = str(error).splitlines()[0][:120]
            if effort.typed and "conversion error" in said:
                effort = replace(effort, typed=effort.typed - _blamed(said, layout))
            elif not effort.forgiving:
                effort = replace(effort, forgiving=True, multiline=layout.quoting)
            elif effort.multiline:
                effort = replace(effort, multiline=False)
            else:
                raise BadRatings(
                    f"{where}: found text that cannot be split into lines ({said}), expected one rating a line; check "
                    f"the quotation marks, and that no line exceeds {_BLOCK_BYTES:,} bytes"
                ) from error


def _read(path: Path, layout: Layout, effort: _Effort, where: str) -> tuple[pa.Table, list[Unreadable]]:
    roles = layout.columns.by_role()
    unreadable: list[Unreadable] = []

    def set_aside(row: pa.csv.InvalidRow) -> str:
        # After a stray quotation mark one record may hold many lines, each of them a lost rating.
        lines = re.split(r"\r\n|\n|\r", _bytes_of(row.text).decode(errors="replace"))
        unreadable.extend(
            Unreadable(row.number, line[:_QUOTED_CHARACTERS], offset) for offset, line in enumerate(lines)
        )
        return "skip"

    narrowed = len(layout.delimiter) > 1
    with opened(path, where) as stream:
        table = pa.csv.read_csv(
            _Narrowed(stream, layout.delimiter.encode()) if narrowed else stream,
            pa.csv.ReadOptions(
                use_threads=not effort.forgiving, block_size=_BLOCK_BYTES, skip_rows=layout.skip,
                column_names=[str(position) for position in range(len(layout.names))],
                # Rows to set aside come as text; Latin-1 makes a text of any bytes, and bytes of it again.
                encoding="latin-1" if effort.forgiving else "utf8",
            ),
            pa.csv.ParseOptions(
                delimiter=_STAND_IN.decode() if narrowed else layout.delimiter,
                quote_char='"' if layout.quoting else False, newlines_in_values=effort.multiline,
                invalid_row_handler=set_aside if effort.forgiving else None,
            ),
            pa.csv.ConvertOptions(
                check_utf8=False, include_columns=[str(position) for position in roles.values()],
                column_types=_types(roles, effort),
                null_values=NULL_TEXTS, strings_can_be_null=True, quoted_strings_can_be_null=False,
            ),
        )  # fmt: skip
    columns = [_as_bytes(column) if effort.forgiving and column.type == _TEXT else column for column in table.columns]
    return pa.table(dict(zip(roles, columns, strict=True))), unreadable


def _types(roles: dict[str, int], effort: _Effort) -> dict[str, pa.DataType]:
    numbers = {"rating": pa.float64(), "time": pa.int64()}
    return {str(place): numbers[role] if role in effort.typed else _TEXT for role, place in roles.items()}


def _blamed(said: str, layout: Layout) -> set[str]:
    """The roles whose column the reader names in its error; every one if it names none of them."""
    match = re.search(r"CSV column #(\d+)", said)
    blamed = {role for role, place in layout.columns.by_role().items() if match and place == int(match[1])}
    return blamed & {"rating", "time"} or {"rating", "time"}


def _as_bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column as it stood in the file, from one that was read as Latin-1."""
    codes, values = recoded(column)
    plain = pa.array([_bytes_of(value.decode()).removeprefix(codecs.BOM_UTF8) for value in values.to_pylist()],
                     pa.binary())  # fmt: skip
    return pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), plain)])


def _bytes_of(text: str) -> bytes:
    return text.encode("latin-1")


def _assembled(table: pa.Table, unreadable: list[Unreadable], layout: Layout) -> RawRatings:
    rating, rating_state = ratings_from(table["rating"])
    if "time" in table.column_names:
        timestamp, time_state = times_from(table["time"])
    else:
        timestamp, time_state = np.full(len(table), RawRatings.NO_TIME), None
    return RawRatings(
        ids_from_texts(table["user"]), ids_from_texts(table["item"]), rating, rating_state, timestamp, time_state,
        columns={role: layout.names[position] for role, position in layout.columns.by_role().items()},
        records=_records(len(table), unreadable, first=1 + layout.skip),
        skipped=layout.skip,
        unreadable=tuple(unreadable),
        texts={name: table[name] for name in table.column_names},
    )  # fmt: skip


def _records(n_rows: int, unreadable: list[Unreadable], *, first: int) -> np.ndarray | None:
    lost = [row.record - first for row in unreadable if row.offset == 0]
    if first == 1 and not lost:
        return None
    return np.delete(np.arange(first, first + n_rows + len(lost)), lost)


class _Narrowed(io.RawIOBase):
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
            block = (self._held + chunk).replace(self._delimiter, _STAND_IN)
            # A delimiter may straddle two reads: what may be its first half waits for the next one.
            waits = bool(chunk) and block.endswith(self._delimiter[:1])
            self._held = self._delimiter[:1] if waits else b""
            block = block.removesuffix(self._held)
            if block or not chunk:
                return block
