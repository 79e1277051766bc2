"""One table of a version, written to a file or into a DuckDB file in one step."""

import sys

import duckdb
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from recobatch.errors import BadInput, BadTable, RecobatchError
from recobatch.table import open_table
from recobatch.table.export import check_target, export, rows_to_export
from tests.support.small_table import make_model, publish, write_inputs


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    root = tmp_path_factory.mktemp("exported")
    return publish(open_table(root / "predictions"), "v1", write_inputs(root / "in", make_model(30, 20)), top=5)


def rows_of(snapshot, kind="top"):
    return pq.read_table(snapshot.parts(kind)[0], partitioning=None).to_pylist()


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.csv.gz"])
def test_a_file_holds_the_rows_in_their_order(tmp_path, snapshot, name):
    seen = []
    assert (
        export(snapshot, "top", str(tmp_path / name), seen.append)
        == sum(seen)
        == rows_to_export(snapshot, "top")
        == 150
    )
    is_csv = ".csv" in name
    found = (pyarrow.csv.read_csv if is_csv else pq.read_table)(tmp_path / name).to_pylist()
    assert [row["item_id"] for row in found] == [row["item_id"] for row in rows_of(snapshot)]
    assert [row["prediction"] for row in found] == pytest.approx([row["prediction"] for row in rows_of(snapshot)])
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_table_is_replaced_and_others_stay(tmp_path, snapshot):
    target = str(tmp_path / "out.duckdb")
    assert export(snapshot, "predictions", target) == 600
    with duckdb.connect(target) as connection:
        connection.execute("CREATE TABLE top AS SELECT 1 AS old; CREATE TABLE ours AS SELECT 2 AS mine")
    assert export(snapshot, "top", target) == 150
    with duckdb.connect(target, read_only=True) as connection:
        assert connection.sql("FROM top").to_arrow_table().to_pylist() == rows_of(snapshot)
        assert connection.sql("FROM predictions").to_arrow_table().to_pylist() == rows_of(snapshot, "table")
        assert connection.execute("FROM ours").fetchall() == [(2,)]


@pytest.mark.parametrize("name", ["out.parquet", "out.csv.gz", "out.duckdb", "new.duckdb"])
def test_an_export_that_breaks_off_leaves_what_was_there(tmp_path, snapshot, name):
    target = tmp_path / name
    if name == "out.duckdb":
        with duckdb.connect(str(target)) as connection:
            connection.execute("CREATE TABLE predictions AS SELECT 1 AS old")
    elif name.startswith("out"):
        target.write_bytes(b"old")

    def stop(_rows):
        raise RuntimeError("pulled the plug")

    with pytest.raises((RuntimeError, RecobatchError)):
        export(snapshot, "predictions", str(target), stop)
    if name == "out.duckdb":
        with duckdb.connect(str(target), read_only=True) as connection:
            assert connection.execute("FROM predictions").fetchall() == [(1,)]
    else:
        assert (target.read_bytes() if target.exists() else None) == (b"old" if name.startswith("out") else None)


def test_only_scratch_folders_of_the_same_target_are_removed(tmp_path, snapshot):
    foreign = tmp_path / ".notes-0123456789ab"
    foreign.mkdir()

    def stop(_rows):
        raise RuntimeError("pulled the plug")

    with pytest.raises(RuntimeError):
        export(snapshot, "predictions", str(tmp_path / "out.csv"), stop)
    assert export(snapshot, "top", str(tmp_path / "other.csv")) == 150
    assert len(list(tmp_path.glob(".recobatch-export-*"))) == 1
    assert export(snapshot, "top", str(tmp_path / "out.csv")) == 150
    assert sorted(path.name for path in tmp_path.iterdir()) == [foreign.name, "other.csv", "out.csv"]


def test_a_duckdb_file_that_is_none_is_refused(tmp_path, snapshot):
    (tmp_path / "out.duckdb").write_bytes(b"no database" * 1000)
    with pytest.raises(RecobatchError, match=r"out\.duckdb: found that DuckDB could not write it"):
        export(snapshot, "top", str(tmp_path / "out.duckdb"))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mysql://ann@host/db", "--to: found an address of mysql, expected postgresql://… or a file"),
        ("out.xlsx", r"--to: found 'out\.xlsx', expected a name that ends in"),
    ],
)
def test_other_targets_are_refused(target, words):
    with pytest.raises(BadInput, match=words):
        check_target(target, "top")


def test_a_missing_table_is_named(tmp_path, snapshot):
    for name in ("changes", "titles"):
        with pytest.raises(BadTable, match=f"found no {name}, expected some to export"):
            export(snapshot, name, str(tmp_path / "out.csv"))


def test_a_missing_duckdb_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(BadInput, match=r"export: found no DuckDB, .* pip install 'recobatch\[export\]'"):
        check_target("out.parquet", "top")
