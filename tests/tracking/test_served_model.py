"""The registered model, loaded in every way there is: both flavors, with and without recobatch, and over HTTP."""

import io
import json
import urllib.error
import urllib.request
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model

from recobatch.errors import BadInput
from recobatch.tracking import Tracker, TrackingOptions
from tests.support.dataset import DATASET
from tests.support.mlflow_server import free_port, serving
from tests.support.served_copy import predict_without_recobatch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def keras_model():
    from recobatch.models import ModelOptions, build_model

    return build_model(
        "explicit_mf_bias", n_users=4, n_items=3, min_rating=1, max_rating=5,
        options=ModelOptions(n_factors=2, initial_scale=1.0), seed=5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(keras_model):
    from recobatch.models import to_factors

    return to_factors(keras_model)


@pytest.fixture(scope="module")
def model_uri(server_root, model_files, tmp_path_factory, keras_model, trained):
    """A logged and registered model whose two flavors are the same real one; the URI of its folder."""
    from recobatch.models import save_model

    real = replace(model_files.load(), model=trained).save(tmp_path_factory.mktemp("real"))
    save_model(keras_model, real.keras)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracker = Tracker(TrackingOptions(), server_root)
    run = tracker.start_run(batch_id="real", model_name="explicit_mf_bias", params={}, dataset=DATASET)
    run.log_model(real)
    tracker.set_alias("champion", tracker.register(run, description="", tags={}))
    run.finish()
    champion = tracker.champion()
    return champion.client.get_model_version_download_uri("recobatch", str(champion.version))


@pytest.fixture(scope="module")
def model_folder(model_uri):
    return Path(model_uri.removeprefix("file://"))


@pytest.fixture(scope="module")
def frame():
    return pd.DataFrame({"user_id": [7, 1, 2**40], "item_id": ["日本", "a b", "ü"]})


@pytest.fixture(scope="module")
def ratings(trained):
    return trained.predict_pairs(np.array([1, 0, 3]), np.array([2, 0, 1]))


@pytest.mark.long
@pytest.mark.process
def test_pyfunc_where_recobatch_is_not_installed(model_uri, server_root, frame, ratings):
    predictions = predict_without_recobatch(
        "models:/recobatch@champion", frame.to_dict("list"), MLFLOW_TRACKING_URI=f"sqlite:///{server_root}/mlflow.db"
    )
    np.testing.assert_array_equal(np.float32(predictions), ratings)


def test_pyfunc_where_recobatch_is_installed(model_uri, frame, ratings):
    import mlflow.pyfunc

    from recobatch.served import ServedModel

    model = mlflow.pyfunc.load_model(model_uri)
    assert isinstance(model._model_impl, ServedModel)
    np.testing.assert_array_equal(model.predict(frame), ratings)


def test_keras_loads_it_in_safe_mode_and_predicts_the_same(model_uri, ratings):
    import mlflow.keras

    model = mlflow.keras.load_model(model_uri, load_model_kwargs={"safe_mode": True})
    inputs = {"Item": np.array([2, 0, 1]), "User": np.array([1, 0, 3])}
    named = [inputs[tensor.name] for tensor in model.inputs]
    np.testing.assert_allclose(model.predict(named, verbose=0).ravel(), ratings, atol=1e-5)


def test_the_signature_and_the_example_speak_in_raw_ids(model_folder):
    model = Model.load(str(model_folder / "MLmodel"))
    assert [(column.name, column.type.name) for column in model.signature.inputs] == [
        ("user_id", "long"), ("item_id", "string"),
    ]  # fmt: skip
    assert model.load_input_example(str(model_folder))["item_id"].tolist() == ["a b", "ü", "日本"]
    assert model.metadata["sha256"].keys() == {
        "factors.npz", "users.parquet", "items.parquet", "rated.npz", "model.keras",
    }  # fmt: skip


def contents(path):
    """Every file below a folder, and every member of the archives among them."""
    for file in path.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            yield file.name, data
            if zipfile.is_zipfile(io.BytesIO(data)):
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    yield from ((name, archive.read(name)) for name in archive.namelist())


def test_nothing_is_pickled(model_uri, server_root):
    names = set()
    for name, data in contents(server_root / "mlruns"):
        names.add(name)
        assert not name.endswith((".pkl", ".pickle", ".joblib", ".cloudpickle")), name
        assert not (data[:1] == b"\x80" and data[1:2] in b"\x02\x03\x04\x05"), name
        assert b"cloudpickle" not in data, name
        if name.endswith(".npy"):
            np.load(io.BytesIO(data), allow_pickle=False)
    assert {"MLmodel", "factors.npz", "user_factors.npy", "model.keras", "config.json", "rated.npz"} <= names


@pytest.mark.long
def test_mlflow_models_serve_answers_the_same(model_folder, tmp_path, ratings):
    port = free_port()
    command = [
        "mlflow", "models", "serve", "--model-uri", str(model_folder), "--env-manager", "local", "--host", "127.0.0.1",
        "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    with serving(command, f"http://127.0.0.1:{port}", tmp_path) as url:
        pairs = {"columns": ["user_id", "item_id"], "data": [[7, "日本"], [1, "a b"], [2**40, "ü"]]}
        np.testing.assert_allclose(ask(url, pairs)["predictions"], ratings, rtol=1e-6)
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(url, {**pairs, "data": [[8, "ü"]]})
        assert refused.value.code == 400
        assert "column user_id: found 1 unknown ids (8)" in refused.value.read().decode()


def ask(url, pairs):
    body = json.dumps({"dataframe_split": pairs}).encode()
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (pd.DataFrame({"user_id": [8, 9], "item_id": ["ü", "x"]}), r"column user_id: found 1 unknown ids \(8\)"),
        (pd.DataFrame({"user_id": [9], "item_id": ["x"]}), r"column item_id: found 1 unknown ids \('x'\)"),
        (pd.DataFrame({"user": [9], "item_id": ["ü"]}), "found columns user, item_id, expected user_id and item_id"),
        (pd.DataFrame({"user_id": [1.5], "item_id": ["ü"]}), "column user_id: found ids of type double"),
        (pd.DataFrame({"user_id": [None], "item_id": ["ü"]}), "column user_id: found"),
        (pd.DataFrame({"user_id": [9], "item_id": [3]}), r"column item_id: found .*ids"),
        (pd.DataFrame({"user_id": [object()], "item_id": ["ü"]}), "column user_id"),
    ],
)
def test_what_cannot_be_predicted_is_told(model_folder, bad, message):
    from recobatch.served import load

    with pytest.raises(BadInput, match=message):
        load(model_folder / "served").predict(bad)


def test_frames_of_any_length(model_folder, frame, ratings, monkeypatch):
    from recobatch import served

    model = served.load(model_folder / "served")
    assert model.predict(frame.iloc[:0]).shape == (0,)
    monkeypatch.setattr(served, "_ROWS", 2)
    np.testing.assert_array_equal(model.predict(frame), ratings)
    assert model.predict(frame).dtype == np.float32
