"""Quarantined ratings: reason, number, and place in the file."""

from enum import IntEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.errors import BadRatings
from recobatch.reading import RawRatings

LARGEST_RATING = 1e9
"""Largest magnitude of a rating. A model that scales its output to the rating range has gradients of the size of a
squared rating, and Adam squares them in float32, whose largest number is 3.4e38."""

_ROLES = {"user": "user_id", "item": "item_id", "rating": "rating", "time": "timestamp"}


class Reason(IntEnum):
    """Why a rating is quarantined; the first that applies."""

    VALID = 0
    UNREADABLE = 1
    """The row does not split into fields, or a rating or time is neither empty nor parseable."""
    NULL = 2
    """User, item or rating is missing."""
    NON_FINITE = 3
    """The rating is NaN or infinite, as a 32-bit float."""
    OUT_OF_RANGE = 4
    """The rating lies outside ``rating_range``."""
    TOO_LARGE = 5
    """The magnitude of the rating exceeds ``LARGEST_RATING``."""
    DUPLICATE = 6
    """A later rating of the same pair exists: later in time or, at the same time, further down the file."""

    @property
    def label(self) -> str:
        return self.name.lower()


def count(reason: np.ndarray, raw: RawRatings) -> dict[str, int]:
    """Number of quarantined records by reason, including those that do not split; zeros are omitted."""
    counts = np.bincount(reason, minlength=len(Reason))
    counts[Reason.UNREADABLE] += len(raw.unreadable)
    return {each.label: int(counts[each]) for each in Reason if each is not Reason.VALID and counts[each]}


def collect(raw: RawRatings, reason: np.ndarray, limit: int | None = None) -> pa.Table:
    """Collect the quarantined records in file order.

    Args:
        raw: All rows.
        reason: uint8, shape ``(len(raw),)``, a ``Reason`` each.
        limit: Largest number of rows, and of records that do not split; the first ones are taken.

    Returns:
        Columns ``line`` (still the record number), ``offset`` (lines to add to it), ``user_id``, ``item_id``,
        ``rating``, ``timestamp`` (strings as read), ``text`` (of a record that does not split) and ``reason``.
    """
    rows = np.flatnonzero(reason)[:limit]
    records = rows + 1 if raw.records is None else raw.records[rows]
    rejected = {name: _as_text(raw.texts.get(role), rows) for role, name in _ROLES.items()}
    labels = pa.array([each.label for each in Reason])
    split = pa.table({
        "line": pa.array(records, pa.int64()), "offset": pa.array(np.zeros_like(rows)), **rejected,
        "text": pa.nulls(len(rows), pa.string()), "reason": labels.take(pa.array(reason[rows])),
    })  # fmt: skip
    unsplit = pa.Table.from_pylist(
        [
            {"line": row.record, "offset": row.offset, "text": row.text, "reason": Reason.UNREADABLE.label}
            for row in raw.unreadable[:limit]
        ],
        schema=split.schema,
    )
    return pa.concat_tables([split, unsplit]).sort_by([("line", "ascending"), ("offset", "ascending")])


def _as_text(column: pa.ChunkedArray | None, rows: np.ndarray) -> pa.Array:
    if column is None or not len(rows):
        return pa.nulls(len(rows), pa.string())
    chosen = column.take(pa.array(rows))
    if pa.types.is_dictionary(chosen.type):
        chosen = chosen.cast(chosen.type.value_type)
    if any(test(chosen.type) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_string,
                                          pa.types.is_large_string)):  # fmt: skip
        return pa.array([_readable(value) for value in chosen.cast(pa.binary()).to_pylist()], pa.string())
    return chosen.cast(pa.string()).combine_chunks()


def _readable(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1") if value is not None else None


def exceeds(counts: dict[str, int], rows: int, limit: float) -> bool:
    """Whether the quarantined share of the rows exceeds the limit, or no row is left."""
    total = sum(counts.values())
    return total / rows > limit + 1e-12 or total == rows


def refusal(counts: dict[str, int], rows: int, limit: float, first: pa.Table, where: str, unit: str) -> BadRatings:
    """Build the error for a file with too many quarantined records.

    Args:
        counts: Number of quarantined records by reason.
        rows: Records in the file.
        limit: Largest tolerated share of them.
        first: The first quarantined record, from ``collect``.
        where: Name of the file in the message.
        unit: ``line`` or ``row``.
    """
    total = sum(counts.values())
    by_reason = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    expected = "at least one valid rating" if total == rows else f"at most {limit * 100:g} % of them"
    return BadRatings(
        f"{where}: {total:,} of {rows:,} ratings cannot be used ({by_reason}; first: {_described(first, unit)}), "
        f"expected {expected}; {_hint(counts, total / rows)}"
    )


def _described(first: pa.Table, unit: str) -> str:
    row = first.slice(0, 1).to_pylist()[0]
    if row["text"] is not None:
        return f"{unit} {row['line']} is {row['text'][:60]!r}"
    values = ", ".join(f"{name} {str(row[name])[:40]!r}" for name in ("user_id", "item_id", "rating", "timestamp")
                       if row[name] is not None)  # fmt: skip
    return f"{unit} {row['line']}, {row['reason']}, has {values or 'nothing'}"


def _hint(counts: dict[str, int], share: float) -> str:
    most_frequent = max(counts, key=lambda name: counts[name])
    fix = {
        Reason.UNREADABLE.label: "check --delimiter, --rating-column and --time-column (numbers are written 3.5, "
        "times in seconds or as 2026-11-24T03:00:00)",
        Reason.NULL.label: "check --user-column, --item-column and --rating-column",
        Reason.OUT_OF_RANGE.label: "pass --set ingest.rating_range=LOW,HIGH if they are correct",
        Reason.TOO_LARGE.label: f"scale the ratings to within ±{LARGEST_RATING:,.0f}",
        Reason.DUPLICATE.label: "keep one rating for each user and item",
    }.get(most_frequent, "fix the file")
    if share == 1:
        return fix
    return f"{fix}, or pass --set ingest.max_quarantined={np.ceil(share * 100) / 100:g} to drop them"


def write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")
