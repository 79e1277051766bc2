"""Two runs of one batch as the outside contract describes them, on a local database."""

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest

from recobatch import __version__
from recobatch.errors import BadInput
from recobatch.tracking import Tracker, TrackingOptions
from recobatch.tracking.about import git_commit
from recobatch.tracking.connection import Connection
from tests.support.dataset import DATASET
from tests.support.paths import REPO
from tests.support.tracked_batch import MODELS, track_batch

pytestmark = pytest.mark.slow


def test_two_flat_runs_with_curves_params_tags_and_dataset(tracker, client, model_files):
    runs = track_batch(tracker, model_files)
    found = client.search_runs([client.get_experiment_by_name("recobatch").experiment_id], "tags.batch_id = 'b1'")
    assert {run.info.run_id for run in found} == {run.run_id for run in runs.values()}
    for run in found:
        assert run.info.status == "FINISHED"
        assert run.info.run_name == f"{run.data.tags['model']} · b1"
        assert "mlflow.parentRunId" not in run.data.tags
        described = run.data.tags["mlflow.note.content"]
        assert described.startswith(f"`{run.data.tags['model']}` on {DATASET.name} (")
        assert run.data.tags["recobatch.version"] == __version__ in described
        assert run.data.tags.get("mlflow.source.git.commit") == git_commit(REPO)
        assert run.data.params == {
            "train.epochs": "3",
            "train.rate": "0.001",
            "dataset.fingerprint": DATASET.fingerprint,
            "fact.users": "4",
            "fact.baseline_bias_mse": "0.95",
        }
        assert not {"users", "baseline_bias_mse"} & run.data.metrics.keys()
        history = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "val_loss")]
        assert history == [(1, 1.5), (2, 0.75), (3, 0.5)]
        assert {"test_mse", "test_rmse", "test_mae", "train_seconds", "loss"} <= run.data.metrics.keys()
        (dataset,) = (made.dataset for made in run.inputs.dataset_inputs)
        assert DATASET.fingerprint.startswith(dataset.digest)
        assert json.loads(dataset.profile)["n_users"] == 4


def test_both_runs_have_the_same_artifact_names(tracker, client, model_files):
    first, second = track_batch(tracker, model_files).values()

    def names(run):
        return {entry.path for entry in client.list_artifacts(run.run_id)}

    assert names(first) == names(second) == {"model_summary.txt", "factors", "vocabulary"}
    vocabulary = {entry.path for entry in client.list_artifacts(first.run_id, "vocabulary")}
    assert vocabulary == {"vocabulary/users.parquet", "vocabulary/items.parquet"}


def test_the_spool_is_empty_afterwards(tracker, root, model_files):
    track_batch(tracker, model_files)
    assert list((root / ".recobatch" / "spool").iterdir()) == []


def test_what_is_noted_after_the_end_arrives_at_once(tracker, client, root, model_files):
    run = track_batch(tracker, model_files)["explicit_mf"]
    run.log_text("<html></html>", "report.html")
    run.set_tags({"published": "v1"})
    run.flush()
    assert "report.html" in {entry.path for entry in client.list_artifacts(run.run_id)}
    found = client.get_run(run.run_id)
    assert (found.info.status, found.data.tags["published"]) == ("FINISHED", "v1")
    assert list((root / ".recobatch" / "spool").iterdir()) == []


def test_a_record_that_mlflow_refuses_is_left_out_and_blocks_nothing(tracker, client, caplog):
    run = tracker.start_run(batch_id="b1", model_name="m", params={"k": 1}, dataset=DATASET)
    run.log_params({"k": 2})
    run.log_epoch(1, 0.5, None)
    run.finish()
    assert "refused a record of kind params" in caplog.text
    found = client.get_run(run.run_id)
    assert (found.info.status, found.data.metrics["loss"], found.data.params["k"]) == ("FINISHED", 0.5, "1")


def test_losses_that_are_no_numbers_are_kept(tracker, client):
    run = tracker.start_run(batch_id="b1", model_name="m", params={}, dataset=DATASET)
    run.log_epoch(1, float("nan"), float("inf"))
    run.finish("FAILED")
    found = client.get_run(run.run_id)
    assert found.info.status == "FAILED"
    assert np.isnan(found.data.metrics["loss"])


def test_hundreds_of_params_and_epochs(tracker, client):
    many = {f"p{number}": number for number in range(230)}
    run = tracker.start_run(batch_id="b1", model_name="m", params=many, dataset=DATASET)
    for epoch in range(1, 601):
        run.log_epoch(epoch, 1 / epoch, 2 / epoch)
    run.finish()
    assert len(client.get_run(run.run_id).data.params) == 231
    assert len(client.get_metric_history(run.run_id, "val_loss")) == 600


def test_a_bundle_keeps_its_folders(tracker, client, tmp_path):
    (tmp_path / "bundle" / "vocabulary").mkdir(parents=True)
    (tmp_path / "bundle" / "a.txt").write_text("a")
    (tmp_path / "bundle" / "vocabulary" / "b.txt").write_text("b")
    run = tracker.start_run(batch_id="b1", model_name="m", params={}, dataset=DATASET)
    run.log_bundle(tmp_path / "bundle")
    run.log_bundle(tmp_path / "bundle", "second")
    run.finish()
    paths = {
        entry.path for folder in ("", "vocabulary", "second") for entry in client.list_artifacts(run.run_id, folder)
    }
    assert paths == {"a.txt", "vocabulary", "vocabulary/b.txt", "second", "second/a.txt", "second/vocabulary"}


@pytest.mark.long
@pytest.mark.process
def test_a_killed_run_is_closed_by_the_next_one(root, client):
    code = f"""
import sys, time
from pathlib import Path
from recobatch.tracking import DatasetInfo, Tracker, TrackingOptions
run = Tracker(TrackingOptions(), Path(sys.argv[1])).start_run(
    batch_id="b1", model_name="m", params={{}}, dataset={DATASET!r})
run.log_epoch(1, 0.5, 0.6)
run.flush()
print(run.run_id, flush=True)
time.sleep(120)
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True)
    run_id = process.stdout.readline().strip()
    process.kill()
    process.communicate()
    assert client.get_run(run_id).info.status == "RUNNING"
    assert Tracker(TrackingOptions(), root).delivered_runs == 1
    found = client.get_run(run_id)
    assert (found.info.status, found.data.metrics["loss"]) == ("KILLED", 0.5)


def test_a_start_that_was_sent_but_not_noted_makes_no_second_run(root, client):
    tracker = Tracker(TrackingOptions(), root)
    run = tracker.start_run(batch_id="b1", model_name="m", params={}, dataset=DATASET)
    journal = run._journal.folder / "events.jsonl"
    run._journal.close()
    journal.write_text("".join(line for line in journal.read_text().splitlines(True) if '"ack"' not in line))
    Tracker(TrackingOptions(), root)
    (found,) = client.search_runs([client.get_experiment_by_name("recobatch").experiment_id])
    assert (found.info.run_id, found.info.status) == (run.run_id, "KILLED")


def test_mlflow_does_not_talk_into_the_log(root, model_files, caplog, capfd):
    with caplog.at_level(logging.INFO):
        track_batch(Tracker(TrackingOptions(), root), model_files)
    assert [record.message for record in caplog.records] == []
    assert capfd.readouterr() == ("", "")


def test_importing_the_options_is_light():
    code = (
        "import sys; from recobatch.tracking import TrackingOptions; TrackingOptions()\n"
        "print(sorted(sys.modules.keys() & {'mlflow', 'pandas', 'numpy', 'pyarrow', 'tensorflow'}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_earlier_batches_newest_first(root, model_files):
    tracker = Tracker(TrackingOptions(), root)
    for batch_id in ("b1", "b2", "b3"):
        track_batch(tracker, model_files, batch_id)
    assert [run.batch_id for run in tracker.past_runs(newest=2)] == ["b3", "b3", "b2", "b2"]
    runs = tracker.past_runs("b1", "b3")
    assert [run.batch_id for run in runs] == ["b1", "b1", "b3", "b3"]
    assert {run.model for run in runs} == set(MODELS)
    assert runs[0].metrics["test_mse"] == 0.9
    assert runs[0].params["train.epochs"] == "3"
    assert runs[0].metrics["baseline_bias_mse"] == 0.95  # a fact, which is no setting
    assert not any(key.startswith("fact") for key in runs[0].params)
    with pytest.raises(
        BadInput, match=r"found no run of the batch 'b9', expected a tracked batch \(newest: b3, b2, b1\)"
    ):
        tracker.past_runs("b9")
    with pytest.raises(BadInput, match="found no run of the batch"):
        tracker.past_runs("' or 1=1")


def test_the_commit_is_read_as_git_left_it(tmp_path):
    def checkout(name, **files):
        for path, text in files.items():
            file = tmp_path / name / ".git" / path.replace("__", "/").replace("packed_refs", "packed-refs")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return git_commit(tmp_path / name)

    assert checkout("loose", HEAD="ref: refs/heads/main\n", refs__heads__main="a1\n") == "a1"
    assert checkout("packed", HEAD="ref: refs/heads/main\n", packed_refs="# pack\nb2 refs/heads/main\n") == "b2"
    assert checkout("detached", HEAD="c3\n") == "c3"
    assert checkout("unborn", HEAD="ref: refs/heads/main\n") is None
    assert git_commit(tmp_path / "no checkout") is None


@pytest.mark.parametrize("name", ["../../outside", "/Users/me/experiment", "..", "a/../../b", "plain one"])
def test_an_experiment_of_any_name_keeps_its_artifacts_in_one_folder(root, name):
    connection = Connection(TrackingOptions(experiment=name), root)
    assert connection.open()
    found = connection.client.get_experiment(connection.experiment_id)
    location = Path(url2pathname(urlsplit(found.artifact_location).path))
    assert location.parent == root.resolve() / "mlruns"
    assert location.name not in ("", ".", "..")


def test_names_that_are_no_file_names_stay_in_the_spool_folder(tracker, root):
    run = tracker.start_run(batch_id="b1", model_name="../../out/../x", params={}, dataset=DATASET)
    assert run._journal.folder.parent == root / ".recobatch" / "spool"
    run.finish()


def test_a_database_that_is_none_costs_no_batch(root, caplog):
    (root / "mlflow.db").write_bytes(b"not a database" * 100)
    tracker = Tracker(TrackingOptions(), root)
    assert not tracker.is_up
    assert "file is not a database" in caplog.text
    run = tracker.start_run(batch_id="b1", model_name="m", params={}, dataset=DATASET)
    run.finish()
    assert "records are kept on disk" in caplog.text


def test_no_secret_reaches_mlflow_or_the_spool(root, client, model_files, caplog):
    secret = "hunter2"
    dataset = replace(DATASET, source=f"s3://key:{secret}@bucket/ratings.csv")
    tracker = Tracker(TrackingOptions(), root)
    params = {"data": {"ratings": dataset.source, "signed": f"https://host/r.csv?sig={secret}"}}
    run = tracker.start_run(batch_id="b1", model_name="m", params=params, dataset=dataset)
    for path in (root / ".recobatch").rglob("*.jsonl"):
        assert secret not in path.read_text()
    run.finish()
    assert client.get_run(run.run_id).data.params["data.ratings"] == "s3://bucket/ratings.csv"
    assert secret.encode() not in (root / "mlflow.db").read_bytes()
    Tracker(TrackingOptions(uri=f"http://me:{secret}@127.0.0.1:1"), root)
    assert "MLflow at http://127.0.0.1:1 does not answer" in caplog.text
    assert secret not in caplog.text


def test_the_environment_names_the_server_unless_a_setting_does(root, monkeypatch):
    assert TrackingOptions().resolve_uri(root) == f"sqlite:///{root}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert TrackingOptions().resolve_uri(root) == "http://127.0.0.1:5000"
    assert TrackingOptions(uri="sqlite:///x.db").resolve_uri(root) == "sqlite:///x.db"


def test_runs_of_an_evaluation_are_none_of_a_batch(tracker, client, model_files):
    track_batch(tracker, model_files)
    run = tracker.start_run(
        batch_id="e1", model_name="explicit_mf", params={}, dataset=DATASET, group="evaluation_id"
    )  # fmt: skip
    for step, error in ((1, 0.9), (2, 0.8)):
        run.log_metrics({"test_mse": error}, step=step)
    run.finish()
    stored = client.get_run(run.run_id)
    assert stored.data.tags["evaluation_id"] == "e1"
    assert [(each.step, each.value) for each in client.get_metric_history(run.run_id, "test_mse")] == [
        (1, 0.9), (2, 0.8)
    ]  # fmt: skip
    assert {past.batch_id for past in tracker.past_runs()} == {"b1"}
