"""A search in MLflow: its trials lie below it, and a server that does not answer loses none."""

import pytest
from mlflow import MlflowClient

from recobatch.tracking import Tracker, TrackingOptions
from tests.support.dataset import DATASET

pytestmark = pytest.mark.slow


def log_search(tracker, *, trials=2):
    runs = tracker.searches()
    search = runs.start({"m": "s"}, params={"seed": 0}, dataset=DATASET)
    for number in range(trials):
        runs.log_trial(
            search, name=f"m · trial {number}", model="m", study="s", params={"train.decay": 0.9},
            metrics={"validation_mse": 0.8 + number}, val_loss=[0.9, 0.8 + number], seconds=3.0,
        )  # fmt: skip
    search.log_metrics({"validation_mse": 0.8})
    search.finish()
    runs.flush(search)
    return search


def found(root):
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("recobatch").experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return client, parents, [run for run in runs if run not in parents]


def check(root, journal, *, trials=2):
    client, (parent,), children = found(root)
    assert parent.data.tags["recobatch.spool"] == journal
    assert parent.data.params["seed"] == "0"
    assert parent.inputs.dataset_inputs
    assert {run.info.run_name for run in children} == {f"m · trial {number}" for number in range(trials)}
    for run in children:
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["study"] == parent.data.tags["study"] == "s"
        assert run.data.params == {"train.decay": "0.9"}
        assert run.info.status == "FINISHED"
        assert run.info.end_time - run.info.start_time == 3000
        curve = client.get_metric_history(run.info.run_id, "val_loss")
        assert [(point.step, point.value) for point in curve] == [(1, 0.9), (2, run.data.metrics["validation_mse"])]


def test_trials_lie_below_their_search(root):
    search = log_search(Tracker(TrackingOptions(), root))
    check(root, search.journal)
    assert list((root / ".recobatch" / "spool").iterdir()) == []


def test_a_search_is_no_batch(root):
    tracker = Tracker(TrackingOptions(), root)
    log_search(tracker)
    assert tracker.past_runs() == []


def test_the_next_process_delivers_what_the_server_did_not_take(root, monkeypatch):
    tracker = Tracker(TrackingOptions(), root)
    with monkeypatch.context() as patch:
        patch.setattr(type(tracker._connection), "open", lambda self, **_: False)
        tracker._connection.is_up = False
        search = log_search(tracker)
    assert found(root)[1:] == ([], [])
    Tracker(TrackingOptions(), root)
    check(root, search.journal)


@pytest.mark.parametrize("again", [False, True])
def test_a_search_of_a_process_that_ended_is_resumed(root, again):
    search = log_search(Tracker(TrackingOptions(), root))
    if again:
        run = Tracker(TrackingOptions(), root).resume_run(search.journal, model_name="m", model=None)
        assert run.run_id == search.run_id
        run.finish()
    assert found(root)[1][0].info.status == "FINISHED"
