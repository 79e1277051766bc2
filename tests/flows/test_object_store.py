"""The whole job with its ratings and its table on a real S3 server."""

import pyarrow.parquet as pq
import pytest

from recobatch.table import open_table

QUICK = ("--set", "train.epochs=3", "--set", "model.n_factors=4", "--set", "gate.baseline=none", "--json")


@pytest.fixture
def batch(recobatch, ratings_csv, s3):
    s3.client.put_object(Bucket=s3.name, Key="ratings.csv", Body=ratings_csv.read_bytes())

    def batch(*more):
        return recobatch("run", f"s3://{s3.name}/ratings.csv", "--table", s3.uri, *QUICK, *more)

    return batch


@pytest.mark.long
def test_from_bucket_to_bucket(batch, recobatch, ratings_csv, s3, at_project):
    outcome = batch()
    assert outcome.code == 0, outcome.err
    table, champion = outcome.json["table"], outcome.json["champion"]
    assert table["path"] == s3.uri
    assert table["rows"] == {"explicit_mf": 2400, "explicit_mf_bias": 2400}
    pointer = s3.pointer()
    assert (pointer["version"], pointer["champion"]) == (table["version"], champion)
    assert table["champion_path"] == f"{s3.uri}/{pointer['table']}"

    local = recobatch("run", ratings_csv, "--table", "twin", *QUICK)
    assert local.code == 0, local.err
    twin = pq.read_table(at_project / "twin" / "current" / "champion", partitioning=None)
    assert s3.read_table().equals(twin), "the same bits as in a folder"
    page = (at_project / outcome.json["report"]).read_text()
    assert f"{table['champion_path']}/*.parquet" in page

    again = batch().json
    assert again["unchanged"] is True
    assert again["table"]["version"] == table["version"]
    assert s3.pointer() == pointer

    drifted = batch("--set", "seed=7", "--set", "drift.prediction_shift=0")
    assert (drifted.code, s3.pointer()) == (3, pointer), drifted.err
    assert f"version {table['version']}" in drifted.refusal

    scored = recobatch("score", "--table", s3.uri, "--force", "--json")
    assert scored.code == 0, scored.err
    assert s3.pointer()["version"] == scored.json["table"]["version"] != table["version"]
    assert list(s3.pointer()["snapshots"]) == [table["version"], scored.json["table"]["version"]]
    listed = recobatch("versions", "--table", s3.uri, "--json").json
    assert (listed["current"], [row["version"] for row in listed["versions"]]) == (
        scored.json["table"]["version"], list(s3.pointer()["snapshots"])
    )  # fmt: skip
    verified = recobatch("verify", "--table", s3.uri, "--json")
    assert verified.json["ok"] is True
    assert verified.json["rows"] == 4800


def test_a_table_that_another_run_holds(batch, s3, tmp_path):
    with open_table(s3.uri, root=tmp_path).lock(holder="night batch"):
        refused = batch()
    assert refused.code == 4
    assert "held by batch night batch" in refused.refusal
    assert "current.json" not in s3.names()


def test_no_such_bucket(recobatch, ratings_csv, s3):
    refused = recobatch("run", ratings_csv, "--table", f"s3://{s3.name}-other/x", *QUICK)
    assert refused.code == 2
    assert "found no such bucket" in refused.refusal
