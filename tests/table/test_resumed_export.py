"""An export to a file that was killed is resumed by the next one; anything else there starts afresh."""

import gzip
import json
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from flows.cli.commands import cli
from recobatch.errors import RecobatchError
from recobatch.table import open_table
from recobatch.table.export import export
from tests.support.killed_export import PIECE, ROWS, counted_export, publish_in_pieces, stopped_export

pytestmark = pytest.mark.slow

FILES = ["out.parquet", "out.csv", "out.csv.gz", "out.duckdb", "old.duckdb"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("exported")
    table = open_table(root / "predictions")
    for number in (1, 2):
        publish_in_pieces(table, f"v{number}", root / f"in{number}", seed=number)
    return table


@pytest.fixture
def snapshot(table, small_pieces):
    return table.snapshot()


def stop_after(snapshot, target, rows):
    """An export that ends with an exception, which leaves the same as a signal."""
    left = [rows]

    def stop(read):
        left[0] -= read
        if left[0] <= 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(snapshot, "predictions", str(target), stop)


def content(path):
    if path.suffix != ".duckdb":
        return path.read_bytes()
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.sql("FROM predictions").to_arrow_table()


def scratch(folder) -> Path:
    [found] = folder.glob(".recobatch-export-*")
    return found


@pytest.mark.long
@pytest.mark.process
@pytest.mark.parametrize("name", FILES)
def test_a_killed_export_is_resumed(tmp_path, snapshot, name):
    target, whole = tmp_path / name, tmp_path / f"whole-{name}"
    if name == "old.duckdb":
        with duckdb.connect(str(target)) as connection:
            connection.execute("CREATE TABLE predictions AS SELECT 1 AS old; CREATE TABLE ours AS SELECT 2 AS mine")
    busy = pytest.raises(RecobatchError, match=r"found that another process writes the same, .* wait for its end")
    with stopped_export(snapshot, str(target), 3 * PIECE), busy:
        export(snapshot, "predictions", str(target))
    if name == "old.duckdb":
        assert content(target).to_pylist() == [{"old": 1}]
    else:
        assert not target.exists()
    assert counted_export(snapshot, str(target)) == (3 * PIECE, ROWS - 3 * PIECE)
    assert counted_export(snapshot, str(whole)) == (0, ROWS)
    assert content(target) == content(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, whole.name])
    if name == "old.duckdb":
        with duckdb.connect(str(target), read_only=True) as connection:
            assert connection.execute("FROM ours").fetchall() == [(2,)]


@pytest.mark.parametrize("name", FILES[:-1])
def test_damage_in_a_piece_is_noticed_and_written_again(tmp_path, snapshot, name):
    target = tmp_path / name
    stop_after(snapshot, target, 3 * PIECE)
    [rows] = scratch(tmp_path).glob("rows*")
    damaged = bytearray(rows.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 40] = bytes(byte ^ 1 for byte in damaged[middle : middle + 40])
    rows.write_bytes(damaged)
    resumed, read = counted_export(snapshot, str(target))
    assert (resumed, read) == (0 if name == "out.duckdb" else PIECE, ROWS - resumed)
    counted_export(snapshot, str(tmp_path / f"whole-{name}"))
    assert content(target) == content(tmp_path / f"whole-{name}")


@pytest.mark.parametrize("name", FILES[:-1])
def test_another_version_starts_afresh_and_removes_what_was_left(tmp_path, table, snapshot, name):
    target, other = tmp_path / name, tmp_path / f"other-{name}"
    stop_after(table.snapshot("v1"), target, PIECE)
    counted_export(snapshot, str(other))
    assert scratch(tmp_path).is_dir()  # belongs to another target
    assert counted_export(snapshot, str(target)) == (0, ROWS)
    assert content(target) == content(other)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, other.name])


def test_an_export_that_was_killed_before_its_last_step_reads_nothing(tmp_path, snapshot):
    target = tmp_path / "out.parquet"
    stop_after(snapshot, target, ROWS)
    with (scratch(tmp_path) / "rows").open("ab") as file:
        file.write(b"half a foo")
    assert counted_export(snapshot, str(target)) == (ROWS, 0)
    assert pq.read_metadata(target).num_rows == ROWS


def test_every_reader_reads_files_of_many_pieces(tmp_path, snapshot):
    for name in FILES[:3]:
        counted_export(snapshot, str(tmp_path / name))
    expected = pl.concat(pl.read_parquet(part, hive_partitioning=False) for part in snapshot.parts("table"))
    parquet, packed = str(tmp_path / "out.parquet"), str(tmp_path / "out.csv.gz")
    assert pl.read_parquet(parquet).equals(expected)
    assert pl.from_arrow(pq.read_table(parquet)).equals(expected)
    assert duckdb.sql(f"FROM '{parquet}'").pl().equals(expected)
    assert gzip.decompress(Path(packed).read_bytes()) == (tmp_path / "out.csv").read_bytes()
    typed = expected.cast({"prediction": pl.Float32})
    for frame in (pl.read_csv(packed), pl.from_pandas(pd.read_csv(packed)), duckdb.sql(f"FROM '{packed}'").pl()):
        assert frame.cast(typed.schema).equals(typed)
    part = pq.ParquetFile(snapshot.parts("table")[0]).schema_arrow
    assert pq.ParquetFile(parquet).schema_arrow.equals(part, check_metadata=True)  # field ids among them


def test_the_command_says_how_much_was_there(tmp_path, table, snapshot):
    stop_after(snapshot, tmp_path / "out.csv", 2 * PIECE)
    arguments = ["export", "--all", "--to", str(tmp_path / "out.csv"), "--table", str(table.root), "--json"]
    done = CliRunner().invoke(cli, arguments)
    assert done.stderr == f"resumed: {2 * PIECE:,} of {ROWS:,} rows were there\n"
    assert json.loads(done.stdout)["rows"] == ROWS
