"""A frame in memory → columns: pandas, Polars, DuckDB, pyarrow and whatever else has the Arrow C interface."""

from typing import Any, Protocol

import pyarrow as pa

from recobatch.errors import BadRatings
from recobatch.reading.columns import find_columns
from recobatch.reading.options import ReadOptions
from recobatch.reading.parquet import raw_from_columns
from recobatch.reading.raw import RawRatings


class Frame(Protocol):
    """A table in memory, by the Arrow C stream interface (the PyCapsule protocol)."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:  # noqa: ANN401 - a capsule
        """The rows as a capsule named ``arrow_array_stream``."""


def as_arrow(frame: Frame, where: str) -> pa.Table:
    """The rows of a frame; nothing of the frame is changed.

    Args:
        frame: Any object with ``__arrow_c_stream__``.
        where: Name of the frame in messages.

    Raises:
        BadRatings: If it is no frame, or a column mixes types.
    """
    try:
        table = pa.table(frame)
    except (TypeError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:160]
        raise BadRatings(
            f"{where}: found {type(frame).__name__!r} that Arrow cannot read ({reason}), expected a frame of pandas, "
            f"Polars or pyarrow, or a path; convert the column, or write a file"
        ) from error
    views = [place for place, field in enumerate(table.schema) if pa.types.is_string_view(field.type)]
    for place in views:  # Polars exports views, which few of Arrow's functions take
        table = table.set_column(place, table.field(place).name, table.column(place).cast(pa.string()))
    return table


def read_frame(frame: Frame, options: ReadOptions, where: str) -> RawRatings:
    """Read the columns that matter of a frame, by the rules for files.

    Args:
        frame: Any object with ``__arrow_c_stream__``.
        options: Columns to read; common names are recognised without it.
        where: Name of the frame in messages.

    Returns:
        All its rows in order, unjudged.

    Raises:
        BadRatings: If it cannot be read, or its columns are of the wrong type.
    """
    table = as_arrow(frame, where)
    names = table.column_names
    positions = find_columns(names, options, where, named=True).by_role()
    chosen = table.select(list(positions.values())).rename_columns(list(positions))
    return raw_from_columns(chosen, {role: names[position] for role, position in positions.items()}, where)
