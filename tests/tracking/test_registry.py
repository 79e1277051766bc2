"""Registered versions of a batch: their files, aliases and flavors, on a local database."""

import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pandas as pd
import pytest

from recobatch.errors import BadInput, BadTable
from recobatch.factors import FactorModel
from recobatch.tracking import Tracker, TrackingOptions
from tests.support.dataset import DATASET
from tests.support.tracked_batch import track_batch

pytestmark = pytest.mark.slow


def test_a_hundredth_run_adds_versions_and_moves_the_aliases(root, client, model_files):
    for batch_id in ("b1", "b2"):
        track_batch(Tracker(TrackingOptions(), root), model_files, batch_id)
    champion = client.get_model_version_by_alias("recobatch", "champion")
    assert (champion.tags["batch_id"], champion.version) == ("b2", 4)
    assert client.get_model_version_by_alias("recobatch", "challenger").version == 3


def test_the_registered_model_is_described_by_its_champion_unless_a_person_did(root, client, model_files):
    track_batch(Tracker(TrackingOptions(), root), model_files, "b1")
    described = client.get_registered_model("recobatch").description
    assert described == "Predicts the rating of a user-item pair.\n\nChampion: version 2. explicit_mf_bias of b1"
    track_batch(Tracker(TrackingOptions(), root), model_files, "b2")
    assert "Champion: version 4. " in client.get_registered_model("recobatch").description
    client.update_registered_model("recobatch", "Ours.")
    track_batch(Tracker(TrackingOptions(), root), model_files, "b3")
    assert client.get_registered_model("recobatch").description == "Ours."


def test_the_champion_comes_with_checked_files(tracker, tmp_path, model_files):
    track_batch(tracker, model_files)
    champion = tracker.champion()
    files = champion.download(tmp_path / "champion")
    assert files.factors.read_bytes() == model_files.factors.read_bytes()
    assert files.rated.read_bytes() == model_files.rated.read_bytes()
    assert champion.description == "explicit_mf_bias of b1"


def test_files_on_this_machine_get_a_second_name_and_are_hashed_once(tracker, root, tmp_path, model_files, monkeypatch):
    track_batch(tracker, model_files)
    files = tracker.champion().download(tmp_path / "champion")
    copies = [path for path in (root / "mlruns").rglob("served/factors.npz") if path.samefile(files.factors)]
    assert len(copies) == 1
    expected = FactorModel.load(model_files.factors).fingerprint
    monkeypatch.setattr(FactorModel, "_arrays", None)  # what the fingerprint is computed from
    assert files.load().model.fingerprint == expected


@pytest.mark.parametrize("name", ["factors.npz", "users.parquet", "items.parquet", "rated.npz"])
def test_a_changed_artifact_is_refused(tracker, root, tmp_path, model_files, name):
    track_batch(tracker, model_files)
    for path in (root / "mlruns").rglob(f"served/{name}"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.unlink()
        path.write_bytes(content)
    with pytest.raises(BadTable, match=rf"{name}: found sha256 .*expected .*train again"):
        tracker.champion().download(tmp_path / "champion")


def test_an_artifact_that_is_gone_is_named(tracker, root, tmp_path, model_files):
    track_batch(tracker, model_files)
    for folder in list((root / "mlruns").rglob("served")):
        shutil.rmtree(folder)
    with pytest.raises(BadTable, match=r"recobatch version 2: found no such artifact as .*/served, expected"):
        tracker.champion().download(tmp_path / "champion")


def test_the_newest_version_of_a_table_is_found_whatever_its_name(tracker, model_files):
    track_batch(tracker, model_files)
    assert tracker.newest_version("predictions") is None
    assert tracker.newest_version("Ann's") is None
    assert set(tracker.versions_of("b1")) == {""}  # registered without the tag of their model


def register(tracker, model_files, batch_id, pending=None):
    """Register a model of a batch of its own; only a pending alias waits for it."""
    run = tracker.start_run(batch_id=batch_id, model_name="explicit_mf", params={}, dataset=DATASET)
    run.log_model(model_files)
    version = tracker.register(run, description=f"of {batch_id}", tags={"batch_id": batch_id}, pending=pending)
    run.finish()
    return version


def test_an_alias_that_stayed_behind_is_moved_but_never_back(tracker, client, model_files):
    track_batch(tracker, model_files)  # versions 1, the challenger, and 2, the champion
    register(tracker, model_files, "b2", pending="champion")
    assert tracker.move_pending_aliases("b2") == {"champion": 3}
    registered = client.get_registered_model("recobatch")
    assert registered.aliases == {"champion": 3}  # the challenger was of another batch
    assert registered.description.endswith("Champion: version 3. of b2")
    assert tracker.move_pending_aliases("b2") == {}
    register(tracker, model_files, "b3", pending="champion")
    newer = register(tracker, model_files, "b4")
    tracker.set_alias("champion", newer)
    assert tracker.move_pending_aliases("b3") == {}
    assert client.get_registered_model("recobatch").aliases == {"champion": 5}


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


def test_the_logged_model_carries_the_metrics_of_its_run(tracker, client, model_files):
    run = track_batch(tracker, model_files)["explicit_mf"]
    models = client.search_logged_models([client.get_experiment_by_name("recobatch").experiment_id])
    (model,) = (found for found in models if found.source_run_id == run.run_id)
    assert {"test_mse", "loss", "val_loss"} <= {metric.key for metric in model.metrics}
    digest = DATASET.fingerprint[:36]
    assert {(metric.dataset_name, metric.dataset_digest) for metric in model.metrics} == {(DATASET.name, digest)}
    assert (model.tags["dataset"], model.tags["dataset_digest"]) == (DATASET.name, digest)
    assert json.loads(model.tags["mlflow.modelVersions"])[0]["name"] == "recobatch"


def test_a_model_that_is_not_keras_has_one_flavor_and_no_digest_of_one(tracker, client, model_files, tmp_path):
    import mlflow

    plain = model_files.load().save(tmp_path)
    assert not plain.keras.exists()
    run = tracker.start_run(batch_id="b1", model_name="mean", params={}, dataset=DATASET)
    run.log_model(plain)
    tracker.set_alias("champion", tracker.register(run, description="", tags={}))
    run.finish()
    champion = tracker.champion()
    assert set(json.loads(champion.tags["sha256"])) == {"factors.npz", "users.parquet", "items.parquet", "rated.npz"}
    folder = Path(url2pathname(urlsplit(client.get_model_version_download_uri("recobatch", champion.version)).path))
    assert list(mlflow.models.Model.load(folder).flavors) == ["python_function"]
    assert not (folder / "data").exists()
    pairs = pd.DataFrame({"user_id": [1, 7], "item_id": ["a b", "ü"]})
    served = mlflow.pyfunc.load_model(str(folder)).predict(pairs)
    assert np.isfinite(np.asarray(served, dtype=float)).all()
    assert champion.download(tmp_path / "fetched").load().fingerprints == plain.load().fingerprints


def test_a_version_is_found_by_the_run_that_logged_it(tracker, model_files):
    runs = track_batch(tracker, model_files)
    run_id = runs["explicit_mf"].run_id
    assert tracker.version_of(run_id).run_id == run_id
    with pytest.raises(BadInput, match=r"found no version of 'recobatch' from run 0123, expected the one that made"):
        tracker.version_of("0123")
