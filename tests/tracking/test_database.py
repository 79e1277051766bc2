"""The local database is made once, whatever happens meanwhile."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from mlflow import MlflowClient

from recobatch.errors import BadSettings
from recobatch.tracking import Tracker, TrackingOptions
from recobatch.tracking.database import prepare_database

pytestmark = pytest.mark.slow

PREPARE = "import sys; from recobatch.tracking.database import prepare_database; prepare_database(sys.argv[1])"


def is_whole(path):
    uri = f"sqlite:///{path}"
    return bool(MlflowClient(uri, uri).create_experiment("probe"))


def start(path, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, f"sqlite:///{path}"],
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **environment},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.process
def test_two_processes_at_once_make_one_whole_database(tmp_path):
    path = tmp_path / "project" / "mlflow.db"
    processes = [start(path) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert is_whole(path)
    assert path.stat().st_mode & 0o077 == 0, "parameters and tags are nobody else's"
    assert [entry.name for entry in path.parent.iterdir() if ".new-" in entry.name] == []


@pytest.mark.long
@pytest.mark.process
def test_a_creation_killed_half_way_leaves_nothing_in_the_way(tmp_path):
    path = tmp_path / "mlflow.db"
    process = start(path)
    while process.poll() is None and not list(tmp_path.glob(".mlflow.db.new-*")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not path.exists()
    prepare_database(f"sqlite:///{path}")
    assert is_whole(path)
    assert list(tmp_path.glob(".mlflow.db.new-*")) == []


def test_a_database_that_is_there_is_left_alone(tmp_path, fresh_database):
    path = tmp_path / "mlflow.db"
    shutil.copyfile(fresh_database, path)
    before = path.stat().st_mtime_ns
    prepare_database(f"sqlite:///{path}")
    assert path.stat().st_mtime_ns == before


def test_an_empty_file_counts_as_none(tmp_path):
    path = tmp_path / "mlflow.db"
    path.touch()
    prepare_database(f"sqlite:///{path}")
    assert sqlite3.connect(path).execute("select count(*) from experiments").fetchone() is not None


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "postgresql://nowhere/db", "databricks"])
def test_other_stores_are_left_alone(uri):
    prepare_database(uri)


def test_a_leftover_of_the_file_store_changes_nothing(root):
    leftover = root / "mlruns" / "0"
    leftover.mkdir(parents=True)
    (leftover / "meta.yaml").write_text("artifact_location: nowhere\nexperiment_id: '0'\nname: Default\n")
    assert Tracker(TrackingOptions(), root).is_up


def test_artifacts_lie_in_the_project_whatever_the_current_folder(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Tracker(TrackingOptions(), root)
    uri = f"sqlite:///{root}/mlflow.db"
    experiment = MlflowClient(uri, uri).get_experiment_by_name("recobatch")
    assert experiment.artifact_location == (root / "mlruns" / "recobatch").as_uri()
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize("name", ["why?", "a'b\"c"])
def test_a_path_where_mlflow_cannot_make_it_is_refused(tmp_path, name, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(BadSettings, match=r"mlflow.db: found a question mark, or both .*set MLFLOW_TRACKING_URI"):
        TrackingOptions().resolve_uri(tmp_path / name)
    assert TrackingOptions(uri="http://host").resolve_uri(tmp_path / name) == "http://host"
    assert TrackingOptions().resolve_uri(tmp_path / "a'b#c%20d").endswith("a'b#c%20d/mlflow.db")
