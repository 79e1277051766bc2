"""Iceberg's metadata beside a version: engines read, as Iceberg tables, the files that are published anyway."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from pyiceberg.table import StaticTable

from recobatch.scoring.columns import FIELD_IDS
from recobatch.scoring.predictions import ScoreOptions
from recobatch.table import TableOptions, open_table
from tests.support.small_table import make_ids, make_model, publish, write_inputs

pytestmark = pytest.mark.slow

SEVERAL_FILES = ScoreOptions(rows_per_shard=400, rows_per_group=200)


def publish_iceberg(folder, uri, version="v1", *, text=False, top=5, **options):
    ids = {"users": make_ids(60, text=text), "items": make_ids(20, text=text)}
    inputs = write_inputs(folder / "inputs", make_model(60, 20), **ids)
    table = open_table(uri, root=folder)
    return table, publish(table, version, inputs, top=top, options=SEVERAL_FILES, iceberg=True, **options)


@pytest.mark.parametrize("text", [False, True], ids=["integers", "texts"])
def test_pyiceberg_and_polars_read_the_published_files(tmp_path, monkeypatch, text):
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")  # its own planner is another package
    table, snapshot = publish_iceberg(tmp_path, "it's a table", text=text, names=("plain", "other"))
    assert table.verify().ok
    for name, folder in {"predictions": "table", "top": "top"}.items():
        parts = snapshot.parts(folder, "other")
        rows = pq.read_table([str(part) for part in parts], partitioning=None)
        metadata = snapshot.path / "iceberg" / name / "metadata" / "v1.metadata.json"
        found = StaticTable.from_metadata(str(metadata))
        assert {field.name: field.field_id for field in found.schema().fields} == {
            column: FIELD_IDS[column] for column in rows.column_names
        }
        assert {task.file.file_path for task in found.scan().plan_files()} == {
            f"file://{part.resolve()}" for part in map(Path, parts)
        }
        keys = [(key, "ascending") for key in rows.column_names[:2]]
        assert found.scan().to_arrow().sort_by(keys).to_pylist() == rows.sort_by(keys).to_pylist()
        assert pl.scan_iceberg(str(metadata)).select(pl.len()).collect().item() == rows.num_rows
        assert (metadata.parent / "version-hint.text").read_text() == "1"


# DuckDB checks at LOAD that an extension was signed by its makers, whoever packed it.
READ = """
import json, sys
from importlib.resources import files
import duckdb
connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
for name in ("avro", "iceberg"):
    package = files(f"duckdb_extension_{name}")
    connection.execute(f"LOAD '{package}/extensions/v{duckdb.__version__}/{name}.duckdb_extension'")
query = "SELECT user_id, item_id FROM iceberg_scan(?) WHERE user_id = 10 ORDER BY ALL"
print(json.dumps(connection.execute(query, [sys.argv[1]]).fetchall()))
"""
DUCKDB = Path(sys.prefix, "duckdb-iceberg", "bin", "python")


@pytest.mark.skipif(not DUCKDB.exists(), reason="no DuckDB 1 with its extension for Iceberg: make test installs it")
@pytest.mark.process
def test_duckdb_reads_the_published_files(tmp_path):
    _, snapshot = publish_iceberg(tmp_path, "it's a table")
    for name, folder in {"predictions": "table", "top": "top"}.items():
        rows = pq.read_table([str(part) for part in snapshot.parts(folder)], partitioning=None).to_pylist()
        expected = sorted([row["user_id"], row["item_id"]] for row in rows if row["user_id"] == 10)
        read = [DUCKDB, "-c", READ, snapshot.path / "iceberg" / name]
        done = subprocess.run(read, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == expected
        assert len(expected) > 0


def test_a_user_is_found_without_reading_every_file(tmp_path):
    _, snapshot = publish_iceberg(tmp_path, "predictions")
    assert len(snapshot.parts("table")) > 1
    found = StaticTable.from_metadata(str(snapshot.path / "iceberg/predictions/metadata/v1.metadata.json"))
    one = found.scan(row_filter="user_id = 10")
    assert len(list(one.plan_files())) == 1
    assert one.to_arrow().num_rows == 20


def test_in_a_bucket(tmp_path, s3, s3_server):
    table, snapshot = publish_iceberg(tmp_path, s3.uri)
    assert table.verify().ok
    access = {f"s3.{key}": s3_server.environment[f"AWS_{name}"] for key, name in (
        ("endpoint", "ENDPOINT_URL"), ("access-key-id", "ACCESS_KEY_ID"),
        ("secret-access-key", "SECRET_ACCESS_KEY"), ("region", "REGION"),
    )}  # fmt: skip
    place = f"{s3.uri}/versions/v1/iceberg/predictions/metadata/v1.metadata.json"
    found = StaticTable.from_metadata(place, access)
    assert found.scan().to_arrow().num_rows == snapshot.rows["plain"] == s3.read_table().num_rows


def test_it_goes_with_its_version_and_nothing_else_depends_on_it(tmp_path):
    table, first = publish_iceberg(tmp_path, "predictions", top=0)
    assert sorted(path.name for path in (first.path / "iceberg").iterdir()) == ["predictions"]
    inputs = write_inputs(tmp_path / "inputs", make_model(60, 20, seed=2))
    plain = publish(table, "v2", inputs, options=SEVERAL_FILES, keep=1)
    assert not (plain.path / "iceberg").exists()
    assert not first.path.exists()


def test_it_is_refused_at_once_where_the_package_is_missing(monkeypatch):
    monkeypatch.setattr("recobatch.table.options.find_spec", lambda name: None)
    assert not TableOptions().iceberg
    with pytest.raises(ValidationError, match="no pyiceberg, expected the package; install recobatch"):
        TableOptions(iceberg=True)


def test_pyiceberg_is_imported_by_nobody_else(tmp_path):
    inputs = write_inputs(tmp_path / "inputs", make_model(60, 20))
    sys.modules.pop("recobatch.table.iceberg", None)
    publish(open_table(tmp_path / "predictions"), "v1", inputs)
    assert "recobatch.table.iceberg" not in sys.modules
