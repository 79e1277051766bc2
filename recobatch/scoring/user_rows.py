"""All rows of one user in parquet files that are sorted by user."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.errors import BadInput, BadTable

Part: TypeAlias = Path | pa.NativeFile
"""A parquet file on disk, or one that is open already."""


def rows_of_user(parts: Sequence[Part], user_id: int | str, *, place: str) -> pa.Table:
    """All rows of a user in the files of one model, in their order; reads only the row groups of the user.

    The user is found by the files' statistics: users ascend from file to file and from row group to row group.

    Args:
        parts: The parquet files, by first user.
        user_id: Raw id; text is read as a number where the table's ids are numbers.
        place: Their location, for messages.

    Raises:
        BadInput: If the files do not have the user; the message names some that they have.
        BadTable: If there are no files.
    """
    if not parts:
        raise BadTable(f"{place}: found no predictions, expected parquet files; publish again")
    readers: dict[int, pq.ParquetFile] = {}

    def reader(number: int) -> pq.ParquetFile:
        if number not in readers:
            readers[number] = pq.ParquetFile(parts[number])
        return readers[number]

    wanted = _as_id(user_id, reader(0).schema_arrow.field("user_id").type, place)
    first, has_gaps = _first_file(reader, len(parts), wanted)
    found = []
    for number in range(first, len(parts)):
        groups = [g for g in range(reader(number).num_row_groups) if _holds(reader(number), g, wanted)]
        if groups:
            found.append(_pick(reader(number).read_row_groups(groups, use_threads=False), wanted))
        if not has_gaps and (not groups or groups[-1] < reader(number).num_row_groups - 1):
            break
    rows = pa.concat_tables(found) if found else None
    if rows is None or not rows.num_rows:
        raise BadInput(_unknown(user_id, place, reader(first)))
    return rows


def _first_file(reader: Callable[[int], pq.ParquetFile], n_files: int, wanted: int | str) -> tuple[int, bool]:
    """Number of the first file that can hold the user, and whether any later one can, too, past files without rows."""
    low, high = 0, n_files - 1
    while low < high:
        middle = (low + high) // 2
        bounds = _bounds(reader(middle), reader(middle).num_row_groups - 1)
        if bounds is None:  # lists of users who rated everything are empty: look at every file
            return 0, True
        if wanted > bounds[1]:
            low = middle + 1
        else:
            high = middle
    return low, False


def _pick(rows: pa.Table, user: int | str) -> pa.Table:
    known = pc.unique(rows["user_id"])
    ids = known.to_pylist()
    if user not in ids:
        return rows.slice(0, 0)
    # A scalar taken from the column: pa.scalar() would import pandas, which costs more than the whole look-up.
    return rows.filter(pc.equal(rows["user_id"], known[ids.index(user)]))


def _holds(file: pq.ParquetFile, group: int, wanted: int | str) -> bool:
    bounds = _bounds(file, group)
    return bounds is not None and bounds[0] <= wanted <= bounds[1]


def _bounds(file: pq.ParquetFile, group: int) -> tuple[Any, Any] | None:
    """First and last user of a row group; None if it has no rows."""
    about = file.metadata.row_group(group)
    if not about.num_rows:
        return None
    statistics = about.column(0).statistics
    if statistics is not None and statistics.has_min_max:
        return statistics.min, statistics.max
    ids = file.read_row_group(group, columns=["user_id"], use_threads=False)["user_id"]  # beyond 4,096 bytes: without
    return ids[0].as_py(), ids[-1].as_py()


def _as_id(user_id: int | str, wanted: pa.DataType, place: str) -> int | str:
    if pa.types.is_string(wanted):
        return str(user_id)
    try:
        return int(user_id)
    except ValueError:
        raise BadInput(
            f"user: found {user_id!r}, expected an integer like every user id in {place}; pass the number"
        ) from None


def _unknown(user_id: int | str, place: str, nearby: pq.ParquetFile) -> str:
    some = pc.unique(nearby.read_row_group(0, columns=["user_id"])["user_id"]).to_pylist()[:5]
    return (
        f"user: found {user_id!r}, expected one of the users that were scored in {place} "
        f"(some of them: {', '.join(map(str, some))}); score again with this user's ratings"
    )
