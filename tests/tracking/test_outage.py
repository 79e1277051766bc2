"""The tracking server is away, dies, or hangs: the batch goes on, and nothing that was noted is lost."""

import logging
import socket
import time

import pytest
from mlflow import MlflowClient

from recobatch.errors import RecobatchError
from recobatch.tracking import Tracker, TrackingOptions
from tests.support.dataset import DATASET
from tests.support.mlflow_server import free_port

pytestmark = pytest.mark.long

BOUND = 60
"""Seconds: far above what is needed on a busy machine, far below the four minutes MLflow waits by itself."""


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def options(request):
    """Options with an experiment of the test's own, on the session's server."""
    name = f"test {request.node.name}"
    return lambda url: TrackingOptions(uri=url, experiment=name, registered_model=name, timeout_seconds=2)


@pytest.fixture
def client(mlflow_server):
    return MlflowClient(mlflow_server, mlflow_server)


def start(tracker, batch_id="b1"):
    return tracker.start_run(batch_id=batch_id, model_name="m", params={"k": 1}, dataset=DATASET)


def runs_of(client, options):
    experiment = client.get_experiment_by_name(options("").experiment)
    return client.search_runs([experiment.experiment_id]) if experiment else []


def curve(client, run):
    return [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, "loss")]


def spooled(root):
    return list((root / ".recobatch" / "spool").glob("*"))


def test_down_at_start_everything_waits_and_the_next_run_delivers_it(line, options, client, root, model_files, caplog):
    line.cut()
    tracker = Tracker(options(line.url), root)
    began = time.monotonic()
    run = start(tracker)
    assert run.run_id.startswith("spooled-")
    assert run.url is None
    for epoch in (1, 2):
        run.log_epoch(epoch, 1 / epoch, None)
    run.log_text("hello", "notes/hello.txt")
    run.log_model(model_files)
    version = tracker.register(run, description="late", tags={"a": "b"})
    tracker.set_alias("champion", version)
    assert version.version is None
    run.finish()
    assert time.monotonic() - began < BOUND
    assert len([record for record in caplog.records if "does not answer" in record.message]) == 1
    assert "records are kept on disk; the next run delivers them" in caplog.text

    line.mend()
    with caplog.at_level(logging.INFO, "recobatch.tracking"):
        later = Tracker(options(line.url), root)
        assert later.delivered_runs == 1
    assert "delivered the records of 1 earlier runs to MLflow" in caplog.text
    (found,) = runs_of(client, options)
    assert (found.info.status, curve(client, found)) == ("FINISHED", [(1, 1.0), (2, 0.5)])
    assert found.info.end_time - found.info.start_time < BOUND * 1000
    assert [entry.path for entry in client.list_artifacts(found.info.run_id)] == ["factors", "notes", "vocabulary"]
    assert later.champion().run_id == found.info.run_id
    assert later.champion().download(root / "champion").factors.read_bytes() == model_files.factors.read_bytes()
    assert spooled(root) == []
    assert later.deliver_left_over() == 0


@pytest.mark.parametrize("way", ["cut", "stall"])
def test_lost_in_mid_training_and_back_before_the_end(line, options, client, root, way, capfd):
    tracker = Tracker(options(line.url), root)
    run = start(tracker)
    assert run.url.endswith(f"/runs/{run.run_id}")
    run.log_epoch(1, 1.0, 2.0)
    run.flush()
    getattr(line, way)()
    began = time.monotonic()
    for epoch in (2, 3, 4):
        run.log_epoch(epoch, 1 / epoch, 2 / epoch)
    assert time.monotonic() - began < 1  # training does not wait
    run.flush()
    assert not tracker.is_up
    line.mend()
    run.finish()
    (found,) = runs_of(client, options)
    assert found.info.status == "FINISHED"
    assert curve(client, found) == [(1, 1.0), (2, 1 / 2), (3, 1 / 3), (4, 1 / 4)]
    assert spooled(root) == []
    assert capfd.readouterr().out == ""


def test_dies_for_good_in_mid_training(line, options, client, root):
    tracker = Tracker(options(line.url), root)
    run = start(tracker)
    line.cut()
    run.log_epoch(1, 1.0, 2.0)
    began = time.monotonic()
    run.finish()
    assert time.monotonic() - began < BOUND
    assert len(spooled(root)) == 1
    line.mend()
    assert start(tracker, "b2").run_id != run.run_id  # a process that goes on to the next batch
    statuses = {found.data.tags["batch_id"]: found.info.status for found in runs_of(client, options)}
    assert statuses == {"b1": "FINISHED", "b2": "RUNNING"}


def test_a_server_that_takes_connections_and_never_answers(options, root):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        tracker = Tracker(options(f"http://127.0.0.1:{silent.getsockname()[1]}"), root)
        run = start(tracker)
        run.log_epoch(1, 1.0, 2.0)
        run.finish()
        with pytest.raises(
            RecobatchError, match=r"found no answer, expected the registered champion.*start the server"
        ):
            tracker.champion()
        assert time.monotonic() - began < BOUND
    assert len(spooled(root)) == 1


def test_nobody_at_the_address(options, root):
    began = time.monotonic()
    tracker = Tracker(options(f"http://127.0.0.1:{free_port()}"), root)
    start(tracker).finish()
    assert time.monotonic() - began < BOUND
    assert not tracker.is_up


def test_what_is_noted_after_an_end_that_waits_is_kept_too(line, options, client, root):
    line.cut()
    run = start(Tracker(options(line.url), root))
    run.finish()
    run.log_text("late", "late.txt")
    run.finish()
    assert len(spooled(root)) == 1
    line.mend()
    assert Tracker(options(line.url), root).delivered_runs == 1
    (found,) = runs_of(client, options)
    assert [entry.path for entry in client.list_artifacts(found.info.run_id)] == ["late.txt"]


def test_a_server_that_never_answers_does_not_fill_the_disk(options, root, caplog):
    url = f"http://127.0.0.1:{free_port()}"
    run = start(Tracker(options(url), root))
    run.finish()
    (folder,) = spooled(root)
    moment = int(folder.name.partition("-")[0])
    aged = folder.with_name(folder.name.replace(str(moment), str(moment - 31 * 86_400_000)))
    folder.rename(aged)
    fresh = start(Tracker(options(url), root))
    assert spooled(root) == [fresh._journal.folder]
    assert f"dropped the records of the run {aged.name}" in caplog.text


def die(run, *, status="KILLED"):
    """What a process that dies leaves: its journal, without an end and without a lock."""
    run._journal.close()
    return run.journal


@pytest.mark.parametrize("when", ["delivered", "away"])
def test_a_run_whose_process_died_is_gone_on_with(line, options, client, root, model_files, when):
    first = Tracker(options(line.url), root)
    run = start(first)
    run.log_epoch(1, 1.0, 2.0)
    run.log_model(model_files)
    run.flush()
    run_id, journal = run.run_id, die(run)
    if when == "delivered":  # the next process closes what a dead one left, before anybody asks for it
        assert Tracker(options(line.url), root).delivered_runs == 1
        assert client.get_run(run_id).info.status == "KILLED"
    else:
        line.cut()
    tracker = Tracker(options(line.url), root)
    again = tracker.resume_run(journal, model_name="explicit_mf", model=model_files)
    assert (again.run_id, again.journal) == (run_id, journal)
    again.log_text("late", "late.txt")
    if when == "delivered":
        again.flush()
        assert client.get_run(run_id).info.status == "RUNNING"
    line.mend()
    version = tracker.register(again, description="", tags={})
    again.finish()
    Tracker(options(line.url), root)
    (found,) = runs_of(client, options)
    assert found.info.status == "FINISHED"
    assert len(found.outputs.model_outputs or client.get_run(run_id).outputs.model_outputs) == 1
    assert [value.value for value in client.get_metric_history(run_id, "loss")] == [1.0]
    assert version.version is not None
    assert spooled(root) == []


def test_a_run_that_cannot_be_gone_on_with(line, options, root, model_files):
    tracker = Tracker(options(line.url), root)
    without_model = start(tracker)
    without_model.finish()
    held = start(tracker)
    for journal in (without_model.journal, held.journal, "1-nobody-00"):
        assert tracker.resume_run(journal, model_name="explicit_mf", model=model_files) is None
    line.cut()
    assert tracker.resume_run(without_model.journal, model_name="explicit_mf", model=model_files) is None
    assert [folder.name for folder in spooled(root)] == [held.journal]
