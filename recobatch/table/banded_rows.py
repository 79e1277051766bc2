"""Rows that ascend by user, read by bands of users, so that memory does not grow with their number."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.errors import BadTable
from recobatch.scoring.user_rows import Part

KEYS = ["user_id", "item_id"]
PLACE = [*KEYS, "rank"]
"""An item's place in a user's list."""


class BandedRows:
    """Lists, or changes between lists, in files that ascend by user; read once, from front to back.

    Args:
        parts: The parquet files, by first user; at least one.

    Raises:
        BadTable: If one of them cannot be read.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        try:
            self._files = [pq.ParquetFile(part) for part in parts]
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(error) from error
        names = self._files[0].schema_arrow.names
        self._columns = [name for name in (*PLACE, "score", "change") if name in names]
        self._schema = pa.schema(
            [self._files[0].schema_arrow.field(name).remove_metadata().with_nullable(True) for name in self._columns]
        )
        self._groups = iter([(file, group) for file in self._files for group in range(file.num_row_groups)])
        self._rest = self._schema.empty_table()

    def type_of(self, name: str) -> pa.DataType:
        """Of a column."""
        return self._schema.field(name).type

    def bounds(self) -> list[object]:
        """Last user of every row group but the last one with rows."""
        found = []
        for file in self._files:
            place = file.schema_arrow.names.index("user_id")
            for group in range(file.num_row_groups):
                statistics = file.metadata.row_group(group).column(place).statistics
                if statistics is not None and statistics.has_min_max:
                    found.append(statistics.max)
        return found[:-1]

    def until(self, last: object | None) -> pa.Table:
        """The next rows, up to those of user ``last``; None takes all that are left."""
        taken = [self._rest]
        try:
            while last is None or not taken[-1].num_rows or taken[-1]["user_id"][-1].as_py() <= last:
                file, group = next(self._groups)
                taken.append(file.read_row_group(group, columns=self._columns).select(self._columns).cast(self._schema))
        except StopIteration:
            pass
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(error) from error
        rows = pa.concat_tables(taken).combine_chunks()
        if last is None:
            self._rest = rows.slice(0, 0)
            return rows
        ours = pc.sum(pc.less_equal(rows["user_id"], pa.scalar(last, self.type_of("user_id")))).as_py() or 0
        self._rest = rows.slice(ours)
        return rows.slice(0, ours).combine_chunks()


def _unreadable(error: Exception) -> BadTable:
    return BadTable(
        f"lists: found a file that cannot be read ({error}), expected parquet as it was published; see recobatch verify"
    )
