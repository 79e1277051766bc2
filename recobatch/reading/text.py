"""Delimited text → columns: typed and threaded where the file allows, text by text where it does not."""

import io
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from recobatch.errors import BadRatings
from recobatch.reading.ids import ids_from_texts
from recobatch.reading.layout import Layout
from recobatch.reading.numbers import ratings_from, times_from
from recobatch.reading.opening import opened
from recobatch.reading.raw import NULL_TEXTS, RawRatings, Unreadable

_BLOCK_BYTES = 1 << 24
_QUOTED_CHARACTERS = 200
_TEXT = pa.dictionary(pa.int32(), pa.binary())
_STAND_IN = b"\x1f"
"""Takes the place of ``::``, since the reader splits at one character only."""


def read_text(path: Path, layout: Layout, where: str) -> RawRatings:
    """Read all rows of a text file.

    Args:
        path: Local file, possibly packed.
        layout: What ``sniff`` told of it.
        where: What to call it in an error message.

    Raises:
        BadRatings: If the text cannot be taken apart at all.
    """
    times = {"time": pa.int64() if layout.time_is_integer else _TEXT}
    types = {"user": _TEXT, "item": _TEXT, "rating": pa.float64(), **times}
    try:
        table, unreadable = _read(path, layout, types, where, use_threads=True)
    except pa.ArrowInvalid:  # a rating or a time that is no number
        types |= {"rating": _TEXT, "time": _TEXT}
        table, unreadable = _read(path, layout, types, where, use_threads=True)
    if unreadable:  # only the single-threaded reader tells where they are
        table, unreadable = _read(path, layout, types, where, use_threads=False)
    return _assembled(table, tuple(unreadable), layout)


def _read(
    path: Path, layout: Layout, types: dict[str, pa.DataType], where: str, *, use_threads: bool
) -> tuple[pa.Table, list[Unreadable]]:
    roles = layout.columns.by_role()
    unreadable: list[Unreadable] = []

    def skip(row: pa.csv.InvalidRow) -> str:
        unreadable.append(Unreadable(row.number or 0, row.text[:_QUOTED_CHARACTERS]))
        return "skip"

    wide = len(layout.delimiter) > 1
    with opened(path, where) as stream:
        try:
            table = pa.csv.read_csv(
                _Narrowed(stream, layout.delimiter.encode()) if wide else stream,
                pa.csv.ReadOptions(
                    use_threads=use_threads, block_size=_BLOCK_BYTES, skip_rows=layout.skip,
                    column_names=[str(position) for position in range(len(layout.names))],
                ),
                pa.csv.ParseOptions(
                    delimiter=_STAND_IN.decode() if wide else layout.delimiter, quote_char=False if wide else '"',
                    newlines_in_values=layout.quoted, invalid_row_handler=skip,
                ),
                pa.csv.ConvertOptions(
                    check_utf8=False, include_columns=[str(position) for position in roles.values()],
                    column_types={str(position): types[role] for role, position in roles.items()},
                    null_values=NULL_TEXTS, strings_can_be_null=True, quoted_strings_can_be_null=False,
                ),
            )  # fmt: skip
        except pa.ArrowInvalid as error:
            if "conversion error" in str(error):
                raise
            raise BadRatings(
                f"{where}: found text that cannot be split into lines ({str(error).splitlines()[0][:120]}), required "
                f"one rating a line; check the quotation marks, and that no line exceeds {_BLOCK_BYTES:,} bytes"
            ) from error
    return table.rename_columns(list(roles)), unreadable


def _assembled(table: pa.Table, unreadable: tuple[Unreadable, ...], layout: Layout) -> RawRatings:
    rating, rating_state = ratings_from(table["rating"])
    if "time" in table.column_names:
        timestamp, time_state = times_from(table["time"])
    else:
        timestamp, time_state = np.full(len(table), RawRatings.NO_TIME), None
    return RawRatings(
        ids_from_texts(table["user"]), ids_from_texts(table["item"]), rating, rating_state, timestamp, time_state,
        columns={role: layout.names[position] for role, position in layout.columns.by_role().items()},
        records=_records(len(table), unreadable, first=1 + layout.skip),
        unreadable=unreadable,
        texts={name: table[name] for name in table.column_names},
    )  # fmt: skip


def _records(n_rows: int, unreadable: tuple[Unreadable, ...], *, first: int) -> np.ndarray | None:
    if first == 1 and not unreadable:
        return None
    records = np.arange(first, first + n_rows + len(unreadable))
    return np.delete(records, [row.record - first for row in unreadable])


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
            block = self._held + chunk
            # A delimiter may straddle two reads: its first half waits for the next one.
            split = len(block) - (bool(chunk) and block.endswith(self._delimiter[:1]))
            self._held, block = block[split:], block[:split].replace(self._delimiter, _STAND_IN)
            if block or not chunk:
                return block
