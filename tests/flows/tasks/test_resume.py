"""A batch that died while it was scored is gone on with: nothing finished is done again, and every name is true."""

import json
import re

import pyarrow.parquet as pq
import pytest

from recobatch.errors import RecobatchError
from recobatch.table import open_table
from tests.support.flow_servers import tracking_address

pytestmark = pytest.mark.long

MODELS = ["explicit_mf", "explicit_mf_bias"]
SHARDS = ("--set", "score.rows_per_shard=640", "--set", "score.rows_per_group=640", "--set", "score.threads=1")
QUICK = ("--set", "train.epochs=3", "--set", "model.n_factors=4", "--set", "gate.baseline=none", *SHARDS, "--json")
"""Four shards a model, one after the other."""


@pytest.fixture
def batch(recobatch, ratings_csv):
    return lambda *more: recobatch("run", ratings_csv, *QUICK, *more)


@pytest.fixture
def disk(monkeypatch):
    """Says how many shards of predictions still fit on the disk, and counts those that were written."""
    from flows.tasks import shards as staging

    real = staging.score_shard

    class Disk:
        room, written = 99, 0

    def score_shard(inputs, users, out, **rest):
        if Disk.room == 0:
            raise RecobatchError(f"{out}: found that the disk refused to write the shard (No space left on device)")
        Disk.room -= 1
        Disk.written += 1
        return real(inputs, users, out, **rest)

    monkeypatch.setattr(staging, "score_shard", score_shard)
    return Disk


@pytest.fixture
def dead(batch, disk, at_project):
    """A batch whose disk was full after six of its eight shards."""

    def dead(table, run=batch, room=6):
        disk.room = room
        outcome = run("--table", table)
        assert outcome.code == 1
        assert "No space left on device" in outcome.refusal
        assert len(left(at_project / table)) == 1
        disk.room, disk.written = 99, 0

    return dead


@pytest.fixture
def copy_of_dead(dead, finished, copied):
    """Copy the table of one batch that died after two shards, for a test that leaves its runs in MLflow alone."""

    def copy_of_dead(table):
        if "dead" not in finished:
            dead("dead", room=2)
            finished["dead"] = True
        copied("dead", table)

    return copy_of_dead


@pytest.fixture
def whole(batch, finished):
    """The summary of a batch that nothing disturbed, whose table ``whole`` no test changes."""
    if "whole" not in finished:
        outcome = batch("--table", "whole")
        assert outcome.code == 0, outcome.err
        finished["whole"] = outcome.json
    return finished["whole"]


def left(root):
    return list(root.glob(".staging-*"))


def table_files(root, kind="table"):
    return sorted((root / "current" / kind).rglob("*.parquet"))


def predictions(root):
    return {model: pq.read_table(root / "current" / "table" / f"model={model}", partitioning=None) for model in MODELS}


def check_true(root, summary, client):
    """Everything that names the batch or its runs names the same, and the runs hold the models."""
    version = summary["table"]["version"]
    manifest = open_table(root).current().manifest
    assert summary["batch_id"] == version == manifest.version
    assert open_table(root).verify().ok
    assert left(root) == []
    files = [*table_files(root), *table_files(root, "top")]
    assert len(files) == 2 * 4 * len(summary["table"]["rows"])
    for path in files:
        model = path.parent.name.removeprefix("model=")
        run_id = manifest.models[model].mlflow_run_id
        said = {key.decode(): value.decode() for key, value in pq.read_schema(path).metadata.items()}
        ranked = {"rank_by": summary["models"][model]["rank_by"]} if path.parts[-3] == "top" else {}
        known = {"trained_on": "all" if model == summary["champion"] else "train"}
        assert said == {"version": version, "model": model, "mlflow_run_id": run_id, **known, **ranked}
        assert path.name.endswith(f"-{version}.parquet")
        assert run_id == summary["models"][model]["mlflow_run_id"]
        assert client.get_run(run_id).outputs.model_outputs


@pytest.fixture
def client(at_project):
    from mlflow import MlflowClient

    return MlflowClient(tracking_address(at_project))


@pytest.mark.usefixtures("whole")
def test_the_next_run_is_that_batch_and_does_only_the_rest(batch, dead, disk, at_project, client):
    dead("died")
    before = left(at_project / "died")[0]
    outcome = batch("--table", "died")
    assert outcome.code == 0, outcome.err
    summary, root = outcome.json, at_project / "died"
    assert disk.written == 2
    assert {"score explicit_mf: 4 of 4 shards", "score explicit_mf_bias: 2 of 4 shards"} <= set(summary["reused"])
    assert before.name.startswith(f".staging-{summary['batch_id']}")
    assert predictions(root) == predictions(at_project / "whole")
    check_true(root, summary, client)
    runs = client.search_runs(
        [client.get_experiment_by_name("recobatch").experiment_id], f"tags.batch_id = '{summary['batch_id']}'"
    )
    assert {run.info.run_id for run in runs} == {
        model["mlflow_run_id"] for model in (*summary["models"].values(), summary["interest"])
    }
    for run in runs:
        assert run.info.status == "FINISHED"
        if run.data.tags["model"] == "interest":
            continue
        assert len(run.outputs.model_outputs) == 1
        assert [value.step for value in client.get_metric_history(run.info.run_id, "val_loss")] == [1, 2, 3]
        assert "report.html" in {file.path for file in client.list_artifacts(run.info.run_id)}
    champion = client.get_model_version_by_alias("recobatch", "champion")
    assert champion.run_id == summary["models"][summary["champion"]]["mlflow_run_id"]
    assert set(json.loads(champion.tags["sha256"])) >= {"factors.npz", "model.keras", "interest.npz"}
    assert batch("--table", "died").json["unchanged"] is True


@pytest.mark.parametrize("other", ["--fresh", "--set=top.k=7"])
def test_fresh_and_other_settings_share_nothing(batch, copy_of_dead, disk, at_project, client, other):
    table = f"unshared-{len(other)}"
    copy_of_dead(table)
    name = left(at_project / table)[0].name
    summary = batch("--table", table, other).json
    assert disk.written == 8
    assert not [stage for stage in summary["reused"] if stage.startswith("score")]
    assert summary["batch_id"] not in name
    check_true(at_project / table, summary, client)


@pytest.mark.parametrize("lost", ["run", "model"])
def test_a_batch_whose_run_or_model_is_gone_is_begun_anew(batch, dead, copy_of_dead, disk, at_project, client, lost):
    table = f"lost-{lost}"
    dead(table) if lost == "run" else copy_of_dead(table)
    batch_id = re.match(r"\.staging-(.*-\w+)-\w+", left(at_project / table)[0].name)[1]
    if lost == "run":
        experiment = client.get_experiment_by_name("recobatch").experiment_id
        client.delete_run(client.search_runs([experiment], f"tags.batch_id = '{batch_id}'")[0].info.run_id)
    else:
        for path in (at_project / ".recobatch" / "work").glob("train-explicit_mf-*/factors.npz"):
            path.unlink()
    summary = batch("--table", table).json
    assert summary["batch_id"] != batch_id
    assert disk.written == 8
    check_true(at_project / table, summary, client)


@pytest.mark.usefixtures("whole")
def test_what_a_gate_refused_is_not_kept(batch, copied, at_project):
    copied("whole", "refused")
    refused = batch("--table", "refused", "--set", "seed=1", "--set", "drift.prediction_shift=0")
    assert refused.code == 3, refused.err
    assert left(at_project / "refused") == []


def test_nightly_scoring_goes_on_too_whatever_the_engine(recobatch, whole, dead, at_project, client):
    dead("nightly", run=lambda *more: recobatch("score", *SHARDS, "--json", *more), room=3)
    outcome = recobatch("score", *SHARDS, "--json", "--table", "nightly", "--engine", "dask")
    assert outcome.code == 0, outcome.err
    champion, root = whole["champion"], at_project / "nightly"
    assert f"score {champion}: 3 of 4 shards" in outcome.json["reused"]
    check_true(root, outcome.json, client)
    part = root / "current" / "table" / f"model={champion}"
    assert pq.read_table(part, partitioning=None) == predictions(at_project / "whole")[champion]


@pytest.mark.parametrize("spoil", [
    lambda part: part.unlink(),
    lambda part: part.write_bytes(part.read_bytes()[:-1]),
], ids=["gone", "cut"])  # fmt: skip
@pytest.mark.usefixtures("whole")
def test_an_unchanged_batch_is_published_again_where_its_files_are_not(
    batch, copied, at_project, client, caplog, request, spoil
):
    table = f"spoilt-{request.node.callspec.id}"
    root, version = at_project / table, copied("whole", table)
    spoil(table_files(root)[5])
    again = batch("--table", table)
    assert again.code == 0, again.err
    assert "unchanged" not in again.json
    said = [record.getMessage() for record in caplog.records if "is damaged and published again" in record.getMessage()]
    assert len(said) == 1
    assert said[0].startswith(f"version {version} is damaged and published again: table/model=")
    check_true(root, again.json, client)
