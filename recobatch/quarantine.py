"""Ratings that cannot be used: why, how many, and where they stood."""

from enum import IntEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.errors import BadRatings
from recobatch.reading import RawRatings

_ROLES = {"user": "user_id", "item": "item_id", "rating": "rating", "time": "timestamp"}


class Reason(IntEnum):
    """Why a rating was set aside; a rating with several faults has the first of them."""

    SOUND = 0
    UNREADABLE = 1
    """The row does not split into fields, or a field is neither a number nor empty where a number belongs."""
    NULL = 2
    """No user, no item or no rating."""
    NON_FINITE = 3
    """The rating is not a number, or infinite."""
    OUT_OF_RANGE = 4
    """The rating lies outside the range that was set."""
    DUPLICATE = 5
    """The same user rated the same item again, later (or further down, where times do not tell)."""

    @property
    def label(self) -> str:
        return self.name.lower()


def count(reason: np.ndarray, raw: RawRatings) -> dict[str, int]:
    """How many records were set aside for each reason, unsplittable ones included; reasons without any are left out."""
    counts = np.bincount(reason, minlength=len(Reason))
    counts[Reason.UNREADABLE] += len(raw.unreadable)
    return {each.label: int(counts[each]) for each in Reason if each is not Reason.SOUND and counts[each]}


def collect(raw: RawRatings, reason: np.ndarray, limit: int | None = None) -> pa.Table:
    """The records that were set aside, in file order.

    Args:
        raw: All rows.
        reason: uint8, shape ``(len(raw),)``, a ``Reason`` each.
        limit: Take at most so many rows and so many unsplittable records, the first ones.

    Returns:
        Columns ``line`` (still the place among the records), ``offset`` (lines to add to it), ``user_id``, ``item_id``,
        ``rating``, ``timestamp`` (as they were read, as text), ``text`` (of a record that does not split into fields)
        and ``reason``.
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
    if pa.types.is_binary(chosen.type) or pa.types.is_large_binary(chosen.type):
        return pa.array([_readable(value) for value in chosen.to_pylist()], pa.string())
    return chosen.cast(pa.string()).combine_chunks()


def _readable(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1") if value is not None else None


def is_too_much(counts: dict[str, int], rows: int, limit: float) -> bool:
    """Whether more than the tolerated part of the rows was set aside, or all of them."""
    total = sum(counts.values())
    return total / rows > limit + 1e-12 or total == rows


def refusal(counts: dict[str, int], rows: int, limit: float, first: pa.Table, where: str, unit: str) -> BadRatings:
    """What to raise then.

    Args:
        counts: How many records were set aside for each reason.
        rows: Records in the file.
        limit: Part of them that is tolerated.
        first: The first record that was set aside, as ``collect`` gives it.
        where: What to call the file.
        unit: What a record is called, ``line`` or ``row``.
    """
    total = sum(counts.values())
    by_reason = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    expected = "at least one sound rating" if total == rows else f"at most {limit * 100:g} % of them"
    return BadRatings(
        f"{where}: {total:,} of {rows:,} ratings cannot be used ({by_reason}; first: {_described(first, unit)}), "
        f"expected {expected}; {_way_out(counts, total / rows)}"
    )


def _described(first: pa.Table, unit: str) -> str:
    row = first.slice(0, 1).to_pylist()[0]
    if row["text"] is not None:
        return f"{unit} {row['line']} is {row['text'][:60]!r}"
    values = ", ".join(f"{name} {str(row[name])[:40]!r}" for name in ("user_id", "item_id", "rating", "timestamp")
                       if row[name] is not None)  # fmt: skip
    return f"{unit} {row['line']}, {row['reason']}, has {values or 'nothing'}"


def _way_out(counts: dict[str, int], share: float) -> str:
    worst = max(counts, key=lambda name: counts[name])
    mend = {
        Reason.UNREADABLE.label: "check --delimiter, --rating-column and --time-column (numbers are written 3.5, "
        "times in seconds or as 2026-11-24T03:00:00)",
        Reason.NULL.label: "check --user-column, --item-column and --rating-column",
        Reason.OUT_OF_RANGE.label: "pass --set ingest.rating_range=LOW,HIGH if they are meant",
        Reason.DUPLICATE.label: "keep one rating for each user and item",
    }.get(worst, "mend the file")
    if share == 1:
        return mend
    return f"{mend}, or pass --set ingest.max_quarantined={np.ceil(share * 100) / 100:g} to do without them"


def write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")
