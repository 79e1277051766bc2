"""Rows in the text format of Postgres' COPY, and the types of their columns there."""

import pyarrow as pa
import pyarrow.compute as pc

from recobatch.errors import BadTable

_TYPES = {
    pa.bool_(): "boolean",
    pa.int8(): "smallint",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.string(): "text",
    pa.large_string(): "text",
}
# The backslash comes first: those that the other replacements add are not escaped again.
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def column_types(schema: pa.Schema) -> dict[str, str]:
    """Type at the server of every column, by name.

    Raises:
        BadTable: If a column has a type that is not exported.
    """
    for column in schema:
        if column.type not in _TYPES:
            raise BadTable(
                f"{column.name}: found values of type {column.type}, expected numbers, texts or booleans to copy to "
                f"Postgres; export a file"
            )
    return {column.name: _TYPES[column.type] for column in schema}


def text_rows(batch: pa.RecordBatch) -> bytes:
    """A batch in the text format of COPY: a row a line, tabs between values, and a mark for no value."""
    if not batch.num_rows:
        return b""
    joined = pc.binary_join_element_wise(
        *map(_text, batch.columns), "\t", null_handling="replace", null_replacement="\\N"
    )
    whole = pa.ListArray.from_arrays(pa.array([0, batch.num_rows], pa.int32()), joined)
    return pc.binary_join(whole, "\n")[0].as_py().encode() + b"\n"


def _text(column: pa.Array) -> pa.Array:
    if column.type not in (pa.string(), pa.large_string()):
        return column.cast(pa.string())
    for plain, escaped in _ESCAPES.items():
        column = pc.replace_substring(column, plain, escaped)
    return column.cast(pa.string())
