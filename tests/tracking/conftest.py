"""Small fake models, and a project root whose MLflow database is made once for the whole session."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from mlflow import MlflowClient

from recobatch.factors import FactorModel, Link
from recobatch.model_folder import LoadedModel, ModelFolder
from recobatch.rated import RatedPairs
from recobatch.tracking import Tracker, TrackingOptions
from recobatch.vocabulary import Vocabulary
from tests.support.databases import mlflow_database
from tests.support.mlflow_server import Line, free_port, serving

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns about its own type hints when it is imported
    import mlflow.pyfunc

    assert mlflow.pyfunc


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory) -> Path:
    return mlflow_database(tmp_path_factory.mktemp("mlflow") / "mlflow.db")


@pytest.fixture
def root(tmp_path, fresh_database, monkeypatch) -> Path:
    """A project root where the database lies already; no tracking URI in the environment."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copyfile(fresh_database, folder / "mlflow.db")
    return folder


@pytest.fixture
def tracker(root):
    return Tracker(TrackingOptions(), root)


@pytest.fixture
def client(root):
    uri = f"sqlite:///{root}/mlflow.db"
    return MlflowClient(uri, uri)


@pytest.fixture(scope="session")
def server_root(tmp_path_factory, fresh_database) -> Path:
    """Project root of the session's MLflow server."""
    folder = tmp_path_factory.mktemp("served") / "project"
    folder.mkdir()
    shutil.copyfile(fresh_database, folder / "mlflow.db")
    return folder


@pytest.fixture(scope="session")
def mlflow_server(server_root):
    """A real MLflow server over ``server_root``; its URL."""
    port = free_port()
    command = [
        "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{server_root}/mlflow.db", "--artifacts-destination", "./artifacts",
    ]  # fmt: skip
    with serving(command, f"http://127.0.0.1:{port}", server_root) as url:
        yield url


@pytest.fixture
def line(mlflow_server):
    """A line to the server that can be cut, stalled and mended."""
    line = Line(int(mlflow_server.rpartition(":")[2]))
    yield line
    line.close()


@pytest.fixture(scope="session")
def factors() -> FactorModel:
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((4, 2), (3, 2), (4,), (3,))]
    return FactorModel(*arrays, 0.5, Link.SCALED_SIGMOID, 1, 5)


@pytest.fixture(scope="session")
def users() -> Vocabulary:
    return Vocabulary(pa.array([1, 7, 9, 2**40]))


@pytest.fixture(scope="session")
def items() -> Vocabulary:
    return Vocabulary(pa.array(["a b", "ü", "日本"]))


@pytest.fixture(scope="session")
def model_files(tmp_path_factory, factors, users, items) -> ModelFolder:
    rated = RatedPairs(np.array([0, 1, 1, 2, 3]), np.array([0, 2, 1], dtype=np.int32), 3)
    model = LoadedModel(factors, users, items, rated).save(tmp_path_factory.mktemp("model"))
    model.keras.write_bytes(b"not a real one")
    return model
