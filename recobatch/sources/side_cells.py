"""A side table's file, delimited text or parquet → its cells by column."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.errors import BadInput

_NULLS = frozenset(("", "NULL", "null", "NA", "N/A", "None", "none", "\\N", "<NA>", "nan", "NaN"))
_DELIMITERS = ",\t;|"


@dataclass(eq=False)
class Cells:
    """The cells of a table by column; in text, an empty cell or a spelling of null is None."""

    columns: dict[str, list[Any]]
    rows: int
    undecodable: int = 0
    """Lines that are not UTF-8, read as Latin-1."""


def read_cells(path: Path) -> Cells:
    """Read the cells of a side table, values as they are written.

    Raises:
        BadInput: If it cannot be read, has no rows, rows of different lengths, or two columns of one name.
    """
    return _read_parquet(path) if path.suffix in {".parquet", ".pq"} else _read_text(path)


def _read_parquet(path: Path) -> Cells:
    try:
        table = pq.read_table(path)
        cells = {name: table[name].to_pylist() for name in table.column_names}
    except (OSError, pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path}: found no readable parquet file ({str(error).splitlines()[0][:120]}), expected a side table; "
            f"write it again"
        ) from error
    _refuse_doubled(table.column_names, path)
    return Cells(cells, len(table))


_FIXED = {
    "u.user": ("|", ("user_id", "age", "gender", "occupation", "zip_code")),
    "movies.dat": ("::", ("item_id", "title", "genres")),
    "users.dat": ("::", ("user_id", "gender", "age", "occupation", "zip_code")),
    "u.item": (
        "|",
        (
            "item_id", "title", "release_date", "video_release_date", "url", "unknown", "Action", "Adventure",
            "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Film-Noir", "Horror",
            "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
        ),
    ),
}  # fmt: skip
"""Layout of MovieLens' own files, which have no header."""


def _read_text(path: Path) -> Cells:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{path}: found no readable file ({error.strerror}), expected a side table; check the path"
        ) from error
    if b"\0" in content[:4096]:
        raise BadInput(f"{path}: found a binary file, expected csv, tsv or parquet in UTF-8; export it as one of them")
    undecodable = 0
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        undecodable = sum(not _is_utf8(line) for line in content.splitlines())
        text = content.decode("latin-1")
    if path.name in _FIXED:
        delimiter, names = _FIXED[path.name]
        rows = [line.split(delimiter) for line in text.splitlines() if line]
    else:
        header = text.partition("\n")[0]
        delimiter = max(_DELIMITERS, key=header.count)
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
        names = tuple(name.strip() for name in rows[0]) if rows else ()
        rows = rows[1:]
    if not rows:
        raise BadInput(f"{path}: found no rows, expected a header and at least one; check how it was written")
    _refuse_doubled(list(names), path)
    ragged = next((number for number, row in enumerate(rows, start=2) if len(row) != len(names)), None)
    if ragged is not None and path.name not in _FIXED:
        raise BadInput(
            f"{path}: found {len(rows[ragged - 2])} fields in row {ragged}, expected {len(names)} as in the header; "
            f"check its quotation marks and delimiters"
        )
    columns = {name: [_cell(row[at]) if at < len(row) else None for row in rows] for at, name in enumerate(names)}
    return Cells(columns, len(rows), undecodable)


def _cell(text: str) -> str | None:
    stripped = text.strip()
    return None if stripped in _NULLS else stripped


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _refuse_doubled(names: list[str], path: Path) -> None:
    doubled = next((name for name, number in Counter(names).items() if number > 1), None)
    if doubled is not None:
        raise BadInput(f"{path}: found two columns named {doubled!r}, expected one; rename one of them")
