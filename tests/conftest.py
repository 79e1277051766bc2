"""What every test module shares: the real data where it lies about, and a small synthetic set with a known truth."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from absl.logging import get_absl_handler
from hypothesis import settings

from flows.server.environment import prepare_environment
from flows.server.local import LocalServer
from recobatch.interactions import EncodedInteractions

# Before anything imports Prefect, MLflow or TensorFlow: they read these once.
for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", *(name for name in os.environ if name.startswith("RECOBATCH_"))):
    os.environ.pop(name, None)
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="recobatch-prefect-")
atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow's log handler keeps the stderr it finds, here pytest's own, and closes it when Prefect sets logging up.
get_absl_handler().python_handler.setStream(sys.__stderr__)

# A shared machine is slow at times, and no test asserts a timing.
settings.register_profile("recobatch", deadline=None)
settings.load_profile("recobatch")

REPO = Path(__file__).parents[1]
SHARED = REPO.parent / "shared" / "data" / "ml-100k"


@pytest.fixture(scope="session")
def ml100k_dir() -> Path:
    """Folder with MovieLens 100k: ratings.csv, users.csv, items.csv, u.data, u.item, u.user."""
    if not (SHARED / "u.data").exists():
        pytest.skip(f"no MovieLens 100k at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def low_rank() -> EncodedInteractions:
    """A rank-2 truth: 60 users, 40 items, half of the pairs rated, ratings within [1, 5] and noise-free."""
    rng = np.random.default_rng(7)
    users, items = rng.normal(size=(60, 2)), rng.normal(size=(40, 2))
    truth = 3 + np.clip(users @ items.T, -2, 2)
    user_index, item_index = np.nonzero(rng.random(truth.shape) < 0.5)
    rating = truth[user_index, item_index].astype(np.float32)
    return EncodedInteractions(
        user_index.astype(np.int32), item_index.astype(np.int32), rating,
        np.arange(len(rating), dtype=np.int64), 60, 40,
    )  # fmt: skip


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory):
    """Address of a Prefect API that lives as long as the tests."""
    prepare_environment(tmp_path_factory.mktemp("prefect"))
    server = LocalServer()
    try:
        yield server.wait_until_ready().api_url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3_server():
    """A real S3 server that lives as long as the tests."""
    from tests.support.s3_server import S3Server

    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """An empty bucket there, found through the environment as by any client."""
    from tests.support.object_tables import S3Place

    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    s3_server.reset()
    return S3Place()
