"""``recobatch changes`` and ``recobatch export``: no server, no settings tree."""

import json

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from flows.cli.commands import cli
from recobatch.errors import BadInput, BadTable
from recobatch.table import open_table
from tests.support.small_table import make_model, publish, write_inputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("consumers")
    table = open_table(folder / "predictions")
    for number in (1, 2, 3):
        publish(table, f"v{number}", write_inputs(folder / f"in{number}", make_model(30, 20, seed=number)), top=5)
    return folder


@pytest.fixture
def call(folder, monkeypatch):
    monkeypatch.chdir(folder)

    def call(*arguments):
        done = CliRunner().invoke(cli, list(map(str, arguments)), standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.stdout

    return call


def test_changes_since_the_version_before_are_those_of_its_file(call, folder):
    stored = pq.read_table(next((folder / "predictions/current/changes").iterdir()), partitioning=None)
    facts = json.loads(call("changes", "--json"))
    assert (facts["version"], facts["since"]) == ("v3", "v2")
    assert facts["entered"] + facts["left"] + facts["moved"] == stored.num_rows
    out = call("changes")
    assert out.startswith(f"version v3 since v2: {facts['entered']:,} entered, ")
    assert len(out.splitlines()) == 22
    assert f"… and {stored.num_rows - 20:,} more" in out


def test_changes_since_any_kept_version_are_written(call, tmp_path):
    facts = json.loads(call("changes", "--since", "v1", "--to", tmp_path / "out.csv", "--json"))
    assert facts["since"] == "v1"
    written = pyarrow.csv.read_csv(tmp_path / "out.csv")
    assert written.num_rows == facts["entered"] + facts["left"] + facts["moved"]
    assert written.schema.names == ["user_id", "item_id", "change", "rank", "rank_before", "score"]


def test_changes_need_a_version_to_compare_with(call, tmp_path):
    publish(open_table(tmp_path / "one"), "v1", write_inputs(tmp_path / "in", make_model(9, 8)), top=2)
    with pytest.raises(BadTable, match="found no version before it, expected one"):
        call("changes", "--table", tmp_path / "one")
    with pytest.raises(BadTable, match="found no version v0, expected one of v3, v2"):
        call("changes", "--since", "v0")


def test_an_export_says_what_it_wrote(call, tmp_path):
    assert "150 rows of top, version v3" in call("export", "--to", tmp_path / "out.parquet")
    facts = json.loads(call("export", "--all", "--to", tmp_path / "all.csv.gz", "--version", "v2", "--json"))
    assert facts == {"table": "predictions", "version": "v2", "rows": 600, "to": str(tmp_path / "all.csv.gz")}
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == 150
    with pytest.raises(BadInput, match="--to: found an address of mysql"):
        call("export", "--to", "mysql://host/db")
