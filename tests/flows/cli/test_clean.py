"""What is removed, what is kept, and why."""

import json
import os

import pytest

from tests.support.flow_servers import tracking_address

QUICK = (
    "--set",
    "train.epochs=1",
    "--set",
    "model.n_factors=4",
    "--set",
    "gate.baseline=none",
    "--set",
    "table.keep=1",
)
TABLE = ("--table", "cleaned")
EVERYTHING = ("--keep-days", "0", "--set", "work.keep_days=0")


def listed(outcome, which):
    return {(each["kind"], each["name"].split(" ")[0].rsplit("-", 1)[0]): each for each in outcome.json[which]}


@pytest.mark.long
def test_only_what_nobody_needs_is_removed(recobatch, ratings_csv, at_project):
    from mlflow import MlflowClient

    batches = [
        recobatch("run", ratings_csv, *QUICK, *TABLE, "--json", "--set", f"seed={seed}").json for seed in (1, 2, 3)
    ]
    assert len(list((at_project / "cleaned" / "versions").iterdir())) == 1
    first, newest = batches[0], batches[-1]
    reports = at_project / ".recobatch" / "reports"
    client = MlflowClient(tracking_address(at_project))

    def artifacts(batch):
        return [client.list_artifacts(model["mlflow_run_id"]) for model in batch["models"].values()]

    young = recobatch("clean", *TABLE, "--json")
    assert young.json["removed"] == []
    assert all(each["reason"] for each in young.json["kept"])

    dry = recobatch("clean", *TABLE, *EVERYTHING, "--dry-run", "--json")
    assert dry.json["dry_run"]
    assert (reports / f"{first['batch_id']}.html").exists()
    assert all(artifacts(first))

    done = recobatch("clean", *TABLE, *EVERYTHING, "--json")
    assert {**done.json, "dry_run": True} == dry.json
    assert done.json["bytes"] > 0
    assert not (reports / f"{first['batch_id']}.html").exists()
    assert (reports / f"{newest['batch_id']}.html").exists()
    assert not any(artifacts(first))
    assert all(artifacts(newest))
    assert client.get_run(first["models"]["explicit_mf"]["mlflow_run_id"]).data.metrics["test_mse"]
    assert client.get_model_version_by_alias("recobatch", "champion").tags["batch_id"] == newest["batch_id"]
    reasons = {each["reason"] for each in done.json["kept"]}
    assert {"the registry's champion", "the registry's challenger"} <= reasons
    assert recobatch("clean", *TABLE, *EVERYTHING, "--json").json["removed"] == []
    assert recobatch("score", *TABLE, "--force", "--json").code == 0, "the champion still loads"


def test_without_anything_nothing_is_made(recobatch, new_project):
    assert recobatch("clean", "--json").json == {"dry_run": False, "bytes": 0, "removed": [], "kept": []}
    assert recobatch("clean").out == "freed 0.0 MB\n"
    assert list(new_project.iterdir()) == []


def test_reports_and_outputs_by_age(recobatch, new_project):
    reports, work = new_project / ".recobatch" / "reports", new_project / ".recobatch" / "work"
    for path in (reports / "old.html", reports / "new.html", work / "split-0123456789ab" / "x", work / "mine" / "x"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    for path in (reports / "old.html", work / "split-0123456789ab", work / "mine"):
        os.utime(path, (0, 0))
    told = recobatch("clean", "--json").json
    assert [(each["kind"], each["name"]) for each in told["removed"]] == [
        ("report", "old"), ("stage output", "split-0123456789ab"),
    ]  # fmt: skip
    assert [(each["name"], each["reason"]) for each in told["kept"]] == [("new", "younger than 30 days")]
    assert sorted(path.name for path in reports.iterdir()) == ["new.html"]
    assert [path.name for path in work.iterdir()] == ["mine"]
    assert "kept report new" in recobatch("clean").out
    assert json.dumps(told)
