"""What every test module shares: MovieLens 100k, a small set with a known truth, servers; and marks by need."""

import atexit
import os
import re
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from absl.logging import get_absl_handler
from hypothesis import settings

from recobatch.interactions import EncodedInteractions
from tests.support.faults.disk import FULL_SWEEP
from tests.support.flow_servers import ON_POSTGRES, FileServers, PostgresServers
from tests.support.movielens import write_layouts
from tests.support.paths import REPO
from tests.support.postgres_server import postgres_server
from tests.support.prefect_api import AUTH_STRING

# Before anything imports Prefect, MLflow or TensorFlow: they read these once.
for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", *(name for name in os.environ if name.startswith("RECOBATCH_"))):
    os.environ.pop(name, None)
os.environ["PREFECT_API_AUTH_STRING"] = AUTH_STRING
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="recobatch-prefect-")
atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Hundreds of runs train the same few small models: what XLA made of one is found again, by every process and suite.
if " " not in str(REPO):  # the variable is split at blanks
    compiled = REPO / "build" / "test-xla" / version("tensorflow")
    os.environ.setdefault("TF_XLA_FLAGS", f"--tf_xla_persistent_cache_directory={compiled}")
# TensorFlow's log handler keeps the stderr it finds, here pytest's own, and closes it when Prefect sets logging up.
get_absl_handler().python_handler.setStream(sys.__stderr__)

# A shared machine is slow at times, and no test asserts a timing. New examples are searched for by `make faults`; the
# suite of every day tries the same ones each time, so that its result is that of the change.
settings.register_profile(
    "recobatch", deadline=None, max_examples=1000 if FULL_SWEEP else 30, derandomize=not FULL_SWEEP
)
settings.register_profile("quick", parent=settings.get_profile("recobatch"), max_examples=10)
settings.load_profile("recobatch")

NEEDS = {
    "server": {"prefect_api", "s3_server", "mlflow_server"},
    "process": {"writer", "readers", "begin", "command", "shell", "site", "yesterday", "holder"},
    "browser": {"browser"},
}
"""Mark → fixtures whose tests carry it, and so stay out of `make quick`."""
LONGEST = (
    "docs/test_commands", "flows/test_deployments", "faults/test_cluster_killed", "faults/test_lost_runs",
    "flows/test_batch", "flows/test_security", "flows/test_bad_input", "faults/test_run_killed",
    "flows/tasks/test_register", "flows/tasks/test_resume", "flows/test_lists", "tracking/test_outage",
    "faults/test_publish_killed", "faults/test_real_disk", "training/test_train", "training/test_scales",
    "flows/test_movielens", "flows/test_best", "flows/test_tune", "flows/tasks/test_cluster", "flows/test_nights",
    "flows/test_score", "faults/test_s3_killed", "consumers/test_query_pages", "tracking/test_mlflow_ui",
    "table/object_store/test_publish_to_s3", "flows/results/test_comparison", "flows/tasks/test_refit",
    "flows/cli/test_clean", "flows/server/test_server", "flows/results/test_notification",
)  # fmt: skip
"""Modules that take longest, first: a long one that begins last would keep one core waiting."""


_MARKED = re.compile(r"^pytestmark = (?:\[\n)?.*mark\.(long|slow|process|server|browser)\b", re.MULTILINE)


def is_quick(config):
    return "not slow" in config.option.markexpr


def pytest_configure(config):
    if is_quick(config):
        settings.load_profile("quick")


def pytest_ignore_collect(collection_path, config):
    """Do not import for `make quick` what it leaves out as a whole: both of its processes would load TensorFlow."""
    if not is_quick(config):
        return None
    if collection_path.suffix != ".py":
        return True if collection_path == REPO / "tests" / "faults" else None
    return True if _MARKED.search(collection_path.read_text()) else None


def pytest_collection_modifyitems(items):
    for item in items:
        for mark, fixtures in NEEDS.items():
            if fixtures & set(getattr(item, "fixturenames", ())):
                item.add_marker(mark)
        # Sweeps: every call of a publish, every request.
        if item.nodeid.startswith("tests/faults/"):
            item.add_marker("slow")
        if getattr(item, "callspec", None) and "spark" in item.callspec.id.split("-"):
            item.add_marker("spark")
            item.add_marker("long")
    place = {f"tests/{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


@pytest.fixture(scope="session")
def ml100k_dir(tmp_path_factory) -> Path:
    """Folder with MovieLens 100k: ratings.csv, items.csv, u.data, u.item."""
    return write_layouts(tmp_path_factory.mktemp("ml-100k"))


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
def flow_servers():
    """What keeps the data of Prefect's and MLflow's servers: files, or a Postgres with ``FLOW_SERVERS=postgres``."""
    if not ON_POSTGRES:
        yield FileServers()
        return
    with postgres_server() as url:
        yield PostgresServers(url)


@pytest.fixture(scope="session")
def prefect_api(flow_servers):
    """Address of a Prefect API that lives as long as the tests."""
    with flow_servers.prefect() as api_url:
        yield api_url


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
