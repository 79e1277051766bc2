"""Columns that a file's folders name, as Hive and Spark write them: ``rating=5/part-0.parquet``."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pyarrow as pa

NO_PARTITIONS: Mapping[str, str | None] = MappingProxyType({})


def with_partitions(table: pa.Table, columns: Mapping[str, str], partitions: Mapping[str, str | None]) -> pa.Table:
    """Add the columns that the file itself lacks.

    Args:
        table: The columns of the file, named by role.
        columns: Role → name of its column; a role that the table lacks is a partition.
        partitions: Name → value in this file, None for null.
    """
    for role, name in columns.items():
        if role not in table.column_names:
            codes = pa.array(np.zeros(len(table), np.int32), mask=np.full(len(table), partitions[name] is None))
            values = pa.array([partitions[name] or ""], pa.string())
            table = table.append_column(role, pa.chunked_array([pa.DictionaryArray.from_arrays(codes, values)]))
    return table
