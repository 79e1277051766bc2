"""Parquet → columns."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.errors import BadRatings, NoRatings
from recobatch.reading.columns import find_columns
from recobatch.reading.ids import ids_from_texts, recoded
from recobatch.reading.numbers import ratings_from, times_from
from recobatch.reading.options import ReadOptions
from recobatch.reading.packed import most_bytes, too_large
from recobatch.reading.partitions import NO_PARTITIONS, with_partitions
from recobatch.reading.raw import Ids, RawRatings

MAGIC = b"PAR1"


def read_parquet(
    path: Path,
    options: ReadOptions,
    where: str,
    partitions: Mapping[str, str | None] = NO_PARTITIONS,
    max_bytes: int | None = None,
    content: pa.Buffer | None = None,
) -> RawRatings:
    """Read all rows of a parquet file.

    Args:
        path: Local file.
        options: Columns to read; common names are recognised without it.
        where: Name of the file in error messages.
        partitions: Further columns, with the value of all rows.
        max_bytes: Most that the rows may take in memory; see ``most_bytes``.
        content: The parquet file itself, where ``path`` is a compressed one.

    Raises:
        NoRatings: If it has no rows.
        BadRatings: If it is damaged, its columns are of the wrong type, or its rows take too much memory.
    """
    source, limit = str(path) if content is None else content, most_bytes(path, max_bytes)
    try:
        with pq.ParquetFile(source) as file:
            own = file.schema_arrow.names
            names, below = (*own, *partitions), tuple(partitions)
            roles = find_columns(own, options, where, named=True, partitions=below).by_role()
            chosen = {role: own[place] for role, place in roles.items() if place < len(own)}
            if (size := _bytes_in_memory(file, len(chosen))) > limit:
                raise too_large(f"{file.metadata.num_rows:,} rows of {size:,} bytes", path, where, limit)
            _require_single(own, chosen, where)
            texts = _texts(file, set(chosen.values()))
        table = _read(source, chosen, texts)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadRatings(
            f"{where}: found a damaged parquet file ({' '.join(str(error).split())[:120]}), expected a complete one; "
            f"write it again"
        ) from error
    columns = {role: names[position] for role, position in roles.items()}
    return raw_from_columns(with_partitions(table, columns, partitions), columns, where)


def raw_from_columns(table: pa.Table, columns: dict[str, str], where: str) -> RawRatings:
    """Recode ids and parse numbers of typed columns.

    Args:
        table: Columns named by role: user, item, rating and maybe time.
        columns: Name of each in its source, by role, for messages.
        where: Name of the source in messages.

    Raises:
        NoRatings: If there is no row.
        BadRatings: If a column is of the wrong type.
    """
    if not len(table):
        raise NoRatings(f"{where}: found columns and no ratings, expected at least one; check how it was written")
    rating, rating_state = _numbers(table["rating"], columns["rating"], where)
    timestamp, time_state = _times(table, where)
    return RawRatings(
        _ids(table["user"], columns["user"], where), _ids(table["item"], columns["item"], where),
        rating, rating_state, timestamp, time_state, columns=columns,
        texts={name: table[name] for name in table.column_names}, unit="row",
    )  # fmt: skip


def _bytes_in_memory(file: pq.ParquetFile, n_columns: int) -> int:
    """Of the columns as they are read, at most: a number or the place of a text in every row, and each text once."""
    # Not by column: of a damaged file, pyarrow's description of one ends the process.
    groups = map(file.metadata.row_group, range(file.num_row_groups))
    return sum(8 * n_columns * group.num_rows + group.total_byte_size for group in groups)


def _require_single(own: list[str], names: dict[str, str], where: str) -> None:
    doubled = next((name for name in names.values() if own.count(name) > 1), None)
    if doubled is not None:
        raise BadRatings(f"{where}: found two columns named {doubled!r}, expected one; rename one of them")


def _texts(file: pq.ParquetFile, names: set[str]) -> list[str]:
    """Those of the columns that are text or bytes."""
    columns = map(file.schema.column, range(len(file.schema)))
    return [each.path for each in columns if each.path in names and each.physical_type == "BYTE_ARRAY"]


def _read(source: str | pa.Buffer, names: dict[str, str], texts: list[str]) -> pa.Table:
    """The columns by role; of ``texts``, one that many rows have is held once."""
    with pq.ParquetFile(source, read_dictionary=texts) as file:
        table = file.read(columns=list(names.values()))
    for column in table.columns:
        _require_places(column)
    return table.select(list(names.values())).rename_columns(list(names))


def _require_places(column: pa.ChunkedArray) -> None:
    """Refuse places of texts that are not there, which pyarrow reads unseen from a damaged file."""
    for chunk in column.chunks if pa.types.is_dictionary(column.type) else ():
        place = pc.min_max(chunk.indices).as_py()
        if place["min"] is not None and not 0 <= place["min"] <= place["max"] < len(chunk.dictionary):
            raise pa.ArrowInvalid(f"text {place['max']:,} of {len(chunk.dictionary):,}")


def _ids(column: pa.ChunkedArray, name: str, where: str) -> Ids:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_null(kind):
        return Ids(np.full(len(column), Ids.NULL, np.int32), pa.array([], pa.string()))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        codes, values = recoded(column.cast(pa.float32()) if pa.types.is_float16(kind) else column)
        return Ids(*_whole(codes, values, name, where))
    if any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
                                   pa.types.is_binary, pa.types.is_large_binary)):  # fmt: skip
        return ids_from_texts(column)
    raise BadRatings(f"{where}: found ids of type {kind} in column {name!r}, expected integers or texts; convert them")


def _whole(codes: np.ndarray, values: pa.Array, name: str, where: str) -> tuple[np.ndarray, pa.Array]:
    """Numbers as int64 ids; beyond int64 as texts. Floats must be whole (pandas' columns with gaps)."""
    if pa.types.is_integer(values.type):
        beyond = pa.types.is_uint64(values.type) and len(values) and pc.max(values).as_py() >= 2**63
        return codes, values.cast(pa.string() if beyond else pa.int64())
    numbers = values.cast(pa.float64()).to_numpy()
    missing = np.isnan(numbers)
    exact = missing | ((numbers == np.floor(numbers)) & (np.abs(numbers) <= 2**53))
    if not exact.all():
        raise BadRatings(
            f"{where}: found the id {numbers[~exact][0]:.15g} in column {name!r}, expected integers or texts; "
            f"convert the column before writing it"
        )
    codes = np.where(np.append(missing, False)[codes], Ids.NULL, codes).astype(np.int32)
    return codes, pa.array(np.where(missing, 0, numbers).astype(np.int64))


def _numbers(column: pa.ChunkedArray, name: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        if pa.types.is_boolean(column.type):
            raise pa.ArrowNotImplementedError
        return ratings_from(column)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise BadRatings(
            f"{where}: found ratings of type {column.type} in column {name!r}, expected numbers; "
            f"pass --rating-column with another column"
        ) from None


def _times(table: pa.Table, where: str) -> tuple[np.ndarray, np.ndarray | None]:
    if "time" not in table.column_names or pa.types.is_null(table["time"].type):
        return np.full(len(table), RawRatings.NO_TIME), None
    try:
        return times_from(table["time"])
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise BadRatings(
            f"{where}: found times of type {table['time'].type}, expected numbers, timestamps or ISO 8601 texts; "
            f'pass --time-column with another one, or with "" to leave times out'
        ) from None
