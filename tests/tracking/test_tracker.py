"""Two runs of one batch as the outside contract describes them, on a local database."""

import json

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from recobatch.errors import BadInput, BadTable
from recobatch.tracking import Tracker, TrackingOptions

from .conftest import DATASET

MODELS = ("explicit_mf", "explicit_mf_bias")


def track_batch(tracker, model_files, batch_id="b1"):
    runs = {}
    for name in MODELS:
        run = tracker.start_run(
            batch_id=batch_id, model_name=name, params={"train": {"epochs": 3, "rate": 1e-3}}, dataset=DATASET
        )
        for epoch in (1, 2, 3):
            run.log_epoch(epoch, 1 / epoch, 1.5 / epoch)
        run.log_metrics({"test_mse": 0.9, "test_rmse": 0.95, "test_mae": 0.7, "train_seconds": 1.5})
        run.log_text("layers", "model_summary.txt")
        run.log_file(model_files.factors, "factors")
        run.log_model(model_files)
        runs[name] = run
    versions = {
        name: tracker.register(run, description=f"{name} of b1", tags={"batch_id": batch_id})
        for name, run in runs.items()
    }
    tracker.set_alias("champion", versions["explicit_mf_bias"])
    tracker.set_alias("challenger", versions["explicit_mf"])
    for run in runs.values():
        run.finish()
    return runs


@pytest.fixture
def tracker(root):
    return Tracker(TrackingOptions(), root)


@pytest.fixture
def client(root):
    uri = f"sqlite:///{root}/mlflow.db"
    return MlflowClient(uri, uri)


def test_two_flat_runs_with_curves_params_tags_and_dataset(tracker, client, model_files):
    runs = track_batch(tracker, model_files)
    found = client.search_runs([client.get_experiment_by_name("recobatch").experiment_id], "tags.batch_id = 'b1'")
    assert {run.info.run_id for run in found} == {run.run_id for run in runs.values()}
    for run in found:
        assert run.info.status == "FINISHED"
        assert run.info.run_name == f"{run.data.tags['model']} · b1"
        assert "mlflow.parentRunId" not in run.data.tags
        assert run.data.params == {
            "train.epochs": "3",
            "train.rate": "0.001",
            "dataset.fingerprint": DATASET.fingerprint,
        }
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

    assert names(first) == names(second) == {"model_summary.txt", "factors"}


def test_the_spool_is_empty_afterwards(tracker, root, model_files):
    track_batch(tracker, model_files)
    assert list((root / ".recobatch" / "spool").iterdir()) == []


def test_a_hundredth_run_adds_versions_and_moves_the_aliases(root, client, model_files):
    for batch_id in ("b1", "b2"):
        track_batch(Tracker(TrackingOptions(), root), model_files, batch_id)
    champion = client.get_model_version_by_alias("recobatch", "champion")
    assert (champion.tags["batch_id"], champion.version) == ("b2", 4)
    assert client.get_model_version_by_alias("recobatch", "challenger").version == 3


def test_the_champion_comes_with_checked_files(tracker, tmp_path, model_files):
    track_batch(tracker, model_files)
    champion = tracker.champion()
    files = champion.download(tmp_path / "champion")
    assert files.factors.read_bytes() == model_files.factors.read_bytes()
    assert files.rated.read_bytes() == model_files.rated.read_bytes()
    assert champion.description == "explicit_mf_bias of b1"


@pytest.mark.parametrize("name", ["factors.npz", "users.parquet", "items.parquet", "rated.npz"])
def test_a_changed_artifact_is_refused(tracker, root, tmp_path, model_files, name):
    track_batch(tracker, model_files)
    for path in (root / "mlruns").rglob(name):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.unlink()
        path.write_bytes(content)
    with pytest.raises(BadTable, match=rf"{name}: found sha256 .*required .*train again"):
        tracker.champion().download(tmp_path / "champion")


def test_no_champion_yet(tracker):
    with pytest.raises(BadInput, match=r"found no champion of 'recobatch'.*recobatch train"):
        tracker.champion()


def test_pyfunc_serves_raw_ids(tracker, root, model_files, factors, monkeypatch):
    import mlflow

    track_batch(tracker, model_files)
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", f"sqlite:///{root}/mlflow.db")
    model = mlflow.pyfunc.load_model("models:/recobatch@champion")
    frame = pd.DataFrame({"user_id": [7, 2**40], "item_id": ["日本", "a b"]})
    np.testing.assert_array_equal(model.predict(frame), factors.predict_pairs(np.array([1, 3]), np.array([2, 0])))
    with pytest.raises(BadInput, match=r"column user_id: found 1 unknown ids \(8\)"):
        model.predict(pd.DataFrame({"user_id": [8], "item_id": ["ü"]}))
