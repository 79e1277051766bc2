"""The views of a version run as they stand in DuckDB; tests/consumers run them in Spark too."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recobatch.table import open_table
from tests.support.small_table import make_ids, make_model, publish, write_inputs

pytestmark = pytest.mark.slow

VIEWS = ("predictions", "champion", "top", "titles", "changes")
COLUMNS = {
    "predictions": ["user_id", "item_id", "prediction", "rated", "model"],
    "champion": ["user_id", "item_id", "prediction", "rated"],
    "top": ["user_id", "rank", "item_id", "score", "prediction", "lower_90", "upper_90"],
    "titles": ["item_id", "title"],
    "changes": ["user_id", "item_id", "change", "rank", "rank_before", "score"],
}


def publish_versions(root, *, n=2, text=False, titles=True, top=5):
    table = open_table(root / "it's a table")
    ids = {"users": make_ids(30, text=text), "items": make_ids(20, text=text)}
    known = pa.table({"item_id": ids["items"].ids, "title": [f"Title {number}" for number in range(20)]})
    for number in range(1, n + 1):
        inputs = write_inputs(root / f"in{number}", make_model(30, 20, seed=number), **ids)
        options = {"titles": known if titles else None, "top": top, "names": ("plain", "other")}
        snapshot = publish(table, f"v{number}", inputs, **options)
    return snapshot


def duckdb_views(snapshot):
    connection = duckdb.connect()
    connection.execute((snapshot.path / "views.sql").read_text())
    return {name: connection.sql(f"FROM {name}").to_arrow_table() for name in VIEWS}


@pytest.mark.parametrize("text", [False, True], ids=["integers", "texts"])
def test_duckdb_runs_them_as_they_stand(tmp_path, text):
    snapshot = publish_versions(tmp_path, text=text)
    found = duckdb_views(snapshot)
    assert {name: table.schema.names for name, table in found.items()} == COLUMNS
    assert found["predictions"].num_rows == 2 * 600
    assert set(found["predictions"]["model"].to_pylist()) == {"plain", "other"}
    (champion,) = (pq.read_table(part, partitioning=None) for part in snapshot.parts("table", "other"))
    assert found["champion"].to_pylist() == champion.to_pylist()
    (lists,) = (pq.read_table(part, partitioning=None) for part in snapshot.parts("top"))
    assert found["top"].to_pylist() == lists.to_pylist()
    assert found["titles"].num_rows == 20
    assert found["changes"].num_rows == pq.read_table(snapshot.files("changes")[0], partitioning=None).num_rows > 0


@pytest.mark.parametrize("text", [False, True], ids=["integers", "texts"])
def test_what_a_version_does_not_have_is_a_view_without_rows(tmp_path, text):
    found = duckdb_views(publish_versions(tmp_path, n=1, text=text, titles=False, top=0))
    assert {name: table.schema.names for name, table in found.items()} == COLUMNS
    for name in ("top", "titles", "changes"):
        assert found[name].num_rows == 0
        assert found[name].schema.field("item_id").type == (pa.string() if text else pa.int64())


def test_the_manifest_lists_them_and_verify_checks_them(tmp_path):
    snapshot = publish_versions(tmp_path)
    table = open_table(snapshot.store.location)
    assert {"views.sql", "views.spark.sql"} <= {entry.path for entry in snapshot.manifest.files}
    assert table.verify().ok
    (snapshot.path / "views.sql").write_text("-- mine")
    assert any(problem.startswith("views.sql: found ") for problem in table.verify().problems)


def test_every_column_of_every_file_has_its_id(tmp_path):
    snapshot = publish_versions(tmp_path)
    found = {}
    for path in sorted(snapshot.path.rglob("*.parquet")):
        for field in pq.read_schema(path):
            number = int(field.metadata[b"PARQUET:field_id"])
            assert found.setdefault(field.name, number) == number
    assert len(set(found.values())) == len(found) == 13
