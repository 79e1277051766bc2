"""Parquet files with everything that a footer places, put together without decoding."""

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recobatch.errors import BadTable
from recobatch.table.parquet_join import MAGIC, joined_footer, raw_piece
from recobatch.table.pieces import Piece


def write(path, start, rows, **options):
    numbers = range(start, start + rows)
    columns = {
        "number": pa.array(numbers, pa.int64()),
        "text": pa.array([None if n % 7 == 0 else f"text {n % 5}" for n in numbers], pa.string()),
        "flag": pa.array([n % 2 == 0 for n in numbers], pa.bool_()),
        "share": pa.array([n / 3 for n in numbers], pa.float64()),
        "list": pa.array([[n] * (n % 3) for n in numbers], pa.list_(pa.int64())),
    }
    settings = {"row_group_size": 40, "write_page_index": True, "sorting_columns": [pq.SortingColumn(0)]}
    pq.write_table(pa.table(columns), path, **settings, **options)
    return path


def pieces_of(path, size=2):
    metadata = pq.read_metadata(path)
    n_groups = metadata.num_row_groups
    starts = range(0, n_groups, size) or [0]
    return [Piece(path, metadata, range(start, min(start + size, n_groups))) for start in starts]


def join(path, pieces):
    content = MAGIC + b"".join(b"".join(raw_piece(piece)) for piece in pieces) + joined_footer(pieces)
    path.write_bytes(content)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 99])
def test_row_groups_of_all_files_are_read_by_all(tmp_path, size):
    files = [
        write(tmp_path / "a.parquet", 0, 150), write(tmp_path / "b.parquet", 150, 0),
        write(tmp_path / "c.parquet", 150, 700, bloom_filter_options={"number": True}),
    ]  # fmt: skip
    joined = join(tmp_path / "joined.parquet", [piece for file in files for piece in pieces_of(file, size)])
    expected = pa.concat_tables(map(pq.read_table, files))
    assert pq.read_table(joined, page_checksum_verification=True).equals(expected)
    assert pl.read_parquet(joined).equals(pl.from_arrow(expected))
    assert duckdb.sql(f"FROM '{joined}'").to_arrow_table().to_pylist() == expected.to_pylist()
    assert duckdb.sql(f"SELECT share FROM '{joined}' WHERE number = 701").fetchall() == [(701 / 3,)]
    assert pl.scan_parquet(joined).filter(pl.col("number") == 701).collect()["share"].to_list() == [701 / 3]
    metadata = pq.read_metadata(joined)
    assert (metadata.num_rows, metadata.num_row_groups) == (850, 4 + 1 + 18)
    for group in range(metadata.num_row_groups):
        found = metadata.row_group(group)
        assert found.column(0).has_offset_index == (found.num_rows > 0)


def test_files_of_other_columns_are_refused(tmp_path):
    pq.write_table(pa.table({"other": [1]}), tmp_path / "b.parquet")
    pieces = [*pieces_of(write(tmp_path / "a.parquet", 0, 50)), *pieces_of(tmp_path / "b.parquet")]
    with pytest.raises(BadTable, match=r"b\.parquet: found other columns than in the first file"):
        joined_footer(pieces)
