"""Side tables of users and items → sparse features aligned to a vocabulary, with a report of the columns."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.errors import BadInput
from recobatch.features import Features
from recobatch.reading.columns import known_role
from recobatch.sources.side_columns import Column, build_block, build_block_like
from recobatch.vocabulary import Vocabulary

Side = Literal["user", "item"]
_NULLS = frozenset(("", "NULL", "null", "NA", "N/A", "None", "none", "\\N", "<NA>", "nan", "NaN"))
_DELIMITERS = ",\t;|"
_SHOWN = 5


@dataclass(frozen=True)
class ColumnReport:
    """What became of one column."""

    name: str
    used_as: str | None
    """``categories``, ``numbers`` or ``lists``; None if it was left out."""
    reason: str
    """Number of its features, or why it was left out."""


@dataclass(frozen=True)
class SideTableReport:
    """What was read from a side table."""

    path: str
    rows: int
    columns: tuple[ColumnReport, ...]
    unknown_ids: int
    """Rows whose id has no rating; they are ignored."""
    missing_rows: int
    """Ids with ratings but without a row; they have no features."""
    duplicates: int
    """Rows whose id came before; the first one counts."""
    null_ids: int
    """Rows without an id; they are ignored."""
    undecodable: int
    """Values that are not UTF-8, read as Latin-1."""

    @property
    def used(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.used_as)

    @property
    def left_out(self) -> dict[str, str]:
        """Column → why it was left out."""
        return {column.name: column.reason for column in self.columns if not column.used_as}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """One line for logs and terminals."""
        used = ", ".join(f"{each.name} ({each.reason})" for each in self.columns if each.used_as) or "no column"
        left = ", ".join(f"{name} ({reason})" for name, reason in self.left_out.items())
        counts = {
            "unknown ids": self.unknown_ids, "ids without a row": self.missing_rows,
            "duplicate rows": self.duplicates, "rows without an id": self.null_ids,
            "values read as Latin-1": self.undecodable,
        }  # fmt: skip
        found = "".join(f"; {number:,} {noun}" for noun, number in counts.items() if number)
        return f"{self.path}: used {used}" + (f"; left out {left}" if left else "") + found


def read_side_table(path: Path, vocabulary: Vocabulary, side: Side) -> tuple[Features, SideTableReport]:
    """Read a table of users or items as features.

    A column is taken as numbers (binned by quantile) where all its values are, as lists where many of them are
    separated by ``|`` or written as ``["a", "b"]``, else as categories. Left out: texts, names, columns with a value of
    its own for nearly every row, constant columns.

    Args:
        path: csv, tsv or any delimiter with a header, MovieLens' own ``u.user``, ``u.item`` and ``movies.dat``, or
            parquet.
        vocabulary: Ids of the ratings, to which the features are aligned.
        side: Whose table it is.

    Returns:
        One block for each column that is used, and the report.

    Raises:
        BadInput: If it cannot be read, has no id column, or no id that occurs in the ratings.
    """
    table = _read_parquet(path) if path.suffix in {".parquet", ".pq"} else _read_text(path)
    id_name = _id_column(list(table.columns), side, path)
    rows, counts = _match(table.columns.pop(id_name), vocabulary, path, side)
    features, reports = [], []
    for column in grouped_flags(table.columns):
        chosen = [column.values[row] if row >= 0 else None for row in rows]
        block, used_as, reason = build_block(Column(column.name, chosen, column.is_flags))
        reports.append(ColumnReport(column.name, used_as, reason))
        if block is not None:
            features.append(block)
    report = SideTableReport(str(path), table.rows, tuple(reports), undecodable=table.undecodable, **counts)
    return Features(tuple(features)), report


def read_side_table_like(path: Path, vocabulary: Vocabulary, side: Side, fitted: Features) -> Features:
    """Read a table of users or items in the columns, bins and categories of an earlier reading.

    Args:
        path: As in ``read_side_table``.
        vocabulary: Ids that the result is aligned to.
        side: Whose table it is.
        fitted: Features of the earlier reading; a column that the table lacks has no features.

    Raises:
        BadInput: As ``read_side_table``.
    """
    table = _read_parquet(path) if path.suffix in {".parquet", ".pq"} else _read_text(path)
    rows, _ = _match(table.columns.pop(_id_column(list(table.columns), side, path)), vocabulary, path, side)
    columns = {column.name: column for column in grouped_flags(table.columns)}
    empty: list[Any] = [None] * table.rows
    blocks = []
    for block in fitted.blocks:
        column = columns.get(block.name, Column(block.name, empty))
        chosen = [column.values[row] if row >= 0 else None for row in rows]
        blocks.append(build_block_like(Column(column.name, chosen, column.is_flags), block))
    return Features(tuple(blocks))


@dataclass(eq=False)
class _Table:
    columns: dict[str, list[Any]]
    rows: int
    undecodable: int = 0


def grouped_flags(columns: dict[str, list[Any]]) -> Iterator[Column]:
    """Columns, neighbours of zeros and ones joined to one column of lists: ``Action``, ``Comedy``, … are one kind."""
    run: list[str] = []
    for name, values in [*columns.items(), ("", [])]:
        if values and _is_flag(values):
            run.append(name)
            continue
        if len(run) >= 3:
            lists = [[flag for flag in run if _is_on(columns[flag][row])] for row in range(len(columns[run[0]]))]
            yield Column(f"{run[0]}…{run[-1]}", lists, is_flags=True)
        else:
            for flag in run:
                yield Column(flag, columns[flag])
        run = []
        if values:
            yield Column(name, values)


def _is_flag(values: Sequence[Any]) -> bool:
    found = {str(value).strip().removesuffix(".0") for value in values if value is not None}
    return bool(found) and found <= {"0", "1", "True", "False", "true", "false"}


def _is_on(value: Any) -> bool:  # noqa: ANN401 - a cell of any type
    return str(value).strip().removesuffix(".0") in {"1", "True", "true"}


def _read_parquet(path: Path) -> _Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInput(
            f"{path}: found no readable parquet file ({str(error).splitlines()[0][:120]}), expected a side table; "
            f"write it again"
        ) from error
    _refuse_doubled(table.column_names, path)
    return _Table({name: table[name].to_pylist() for name in table.column_names}, len(table))


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


def _read_text(path: Path) -> _Table:
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
    return _Table(columns, len(rows), undecodable)


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


def _id_column(names: list[str], side: Side, path: Path) -> str:
    plain = {name: re.sub(r"[\W_]+", "", re.sub(r":\w+$", "", name.lower())) for name in names}
    found = [name for name in names if known_role(name) == side] or [name for name in names if plain[name] == "id"]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(map(repr, (found or names)[:_SHOWN]))
    raise BadInput(
        f"{path}: found {f'{len(found)} columns that could be' if found else 'no column with'} the {side} id "
        f"({shown}), expected one named {side}_id; rename it"
    )


def _match(ids: list[Any], vocabulary: Vocabulary, path: Path, side: Side) -> tuple[list[int], dict[str, int]]:
    """Row of each id of the vocabulary, -1 for none; and the counts of the report."""
    is_integer = pa.types.is_integer(vocabulary.ids.type)
    keys = [None if value is None else _key(value) for value in ids]
    first: dict[str, int] = {}
    duplicates = null_ids = 0
    for row, key in enumerate(keys):
        if key is None:
            null_ids += 1
        elif key in first:
            duplicates += 1
        else:
            first[key] = row
    wanted = pc.cast(vocabulary.ids, pa.string()).to_pylist()
    rows = [first.get(key, -1) for key in wanted]
    matched = sum(row >= 0 for row in rows)
    if not matched:
        found = ", ".join(map(repr, list(first)[:_SHOWN]))
        raise BadInput(
            f"{path}: found no {side} of the ratings among its ids ({found or 'none'}), expected ids like "
            f"{', '.join(map(repr, wanted[:_SHOWN]))}{' (integers)' if is_integer else ''}; check that it belongs to "
            f"these ratings"
        )
    return rows, {
        "unknown_ids": len(first) - matched, "missing_rows": len(rows) - matched, "duplicates": duplicates,
        "null_ids": null_ids,
    }  # fmt: skip


def _key(value: Any) -> str:  # noqa: ANN401 - an id of any type
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return text.removesuffix(".0") if re.fullmatch(r"-?\d+\.0", text) else text
