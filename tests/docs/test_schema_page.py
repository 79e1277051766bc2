"""The page about the schema says what files are, and what the code says of its records."""

import re

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from recobatch.scoring.predictions import ScoreOptions
from recobatch.table import open_table
from tests.support.paths import REPO
from tests.support.small_table import make_calibration, make_ids, make_model, publish, write_inputs
from tools.data_contract import contract
from tools.schema_tables import describe, with_schema

CONTRACT = REPO / "docs" / "data-contract.odcs.yaml"
PAGE = (REPO / "docs" / "schema.md").read_text(encoding="utf-8")


def test_the_page_is_up_to_date():
    assert with_schema(PAGE) == PAGE, "make docs brings it up to date"


def test_the_data_contract_is_up_to_date():
    assert contract() == CONTRACT.read_text(encoding="utf-8"), "make docs brings it up to date"


def test_the_data_contract_says_what_files_are(tmp_path):
    found = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    assert (found["apiVersion"], found["kind"]) == ("v3.0.2", "DataContract")
    inputs = [write_inputs(tmp_path / str(seed), make_model(30, 20, seed=seed)) for seed in (1, 2)]
    for number, each in enumerate(inputs):
        snapshot = publish(open_table(tmp_path / "predictions"), f"v{number}", each, top=10)
    for table in found["schema"]:
        files = sorted(snapshot.path.glob(table["physicalName"]))
        assert files
        rows = pq.read_table(files[0], partitioning=None)
        assert [column["name"] for column in table["properties"]] == rows.schema.names
        for column, field in zip(table["properties"], rows.schema, strict=True):
            assert column["physicalType"] == str(field.type)
            assert column["required"] == (not field.nullable)
            (number,) = (each["value"] for each in column["customProperties"])
            assert number == int(field.metadata[b"PARQUET:field_id"])
        key = [column["name"] for column in table["properties"] if column.get("primaryKey")]
        assert rows.group_by(key).aggregate([]).num_rows == rows.num_rows


@pytest.mark.parametrize("text", [False, True], ids=["integers", "texts"])
@pytest.mark.parametrize("table", ["table", "top"])
def test_published_files_are_as_the_page_says(tmp_path, table, text):
    ids = {"users": make_ids(300, text=text), "items": make_ids(200, text=text)}
    inputs = write_inputs(tmp_path / "in", make_model(300, 200), **ids)
    snapshot = publish(open_table(tmp_path / "predictions"), "v1", inputs, top=10)
    files = sorted((snapshot.path / table).rglob("*.parquet"))
    assert files
    section = PAGE.partition("/model=<name>/*.parquet`" if table == "table" else "## The best unseen items")[2]
    for file in files:
        group = pq.read_metadata(file).row_group(0)
        columns = [group.column(place) for place in range(group.num_columns)]
        assert [each.path_in_schema for each in columns if each.is_stats_set] == ["user_id"]
        assert not any(field.nullable for field in pq.read_schema(file))
        for name, (kind, storage, meaning) in describe(file).items():
            (row,) = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith(f"| `{name}` |")]
            assert kind in row
            assert storage in row
            assert meaning
            assert meaning in row


@pytest.mark.slow
def test_the_sd_of_every_pair_follows_as_the_page_says(tmp_path, monkeypatch):
    inputs = write_inputs(tmp_path / "in", make_model(40, 30), calibration=make_calibration(40, 30))
    table = open_table(tmp_path / "predictions")
    snapshot = publish(table, "v1", inputs, options=ScoreOptions(uncertainty=True))
    monkeypatch.chdir(snapshot.path)
    (query,) = re.findall(r"```sql\n(SELECT t\.user_id.*?)```", PAGE, re.DOTALL)
    found = duckdb.sql(query).order("user_id, item_id").df()
    published = pq.read_table(snapshot.parts("table")).to_pandas()
    assert len(found) == len(published) == 1200
    np.testing.assert_array_equal(found[["user_id", "item_id"]], published[["user_id", "item_id"]])
    np.testing.assert_allclose(found["sd"], published["sd"], rtol=1e-6)
    assert table.verify().ok


def test_published_files_name_version_model_and_run(tmp_path):
    inputs = write_inputs(tmp_path / "in", make_model(30, 20))
    snapshot = publish(open_table(tmp_path / "predictions"), "v1", inputs)
    for file in snapshot.path.rglob("part-*.parquet"):
        said = {key.decode() for key in pq.read_metadata(file).metadata} - {"ARROW:schema"}
        assert said == {"version", "model", "mlflow_run_id"}
        assert all(f"`{key}`" in PAGE for key in said)
