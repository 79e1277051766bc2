"""A whole run, killed at any moment while consumers read: the table stands, the next run goes on to the same bits."""

import json
import logging
import os
import subprocess
import time
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from recobatch.sources.synthetic import write_synthetic
from recobatch.table import open_table
from tests.support.databases import mlflow_database
from tests.support.faults.disk import FULL_SWEEP
from tests.support.faults.reading import reading
from tests.support.fork_server import ForkedRun, server_address

pytestmark = pytest.mark.long

MOMENTS = 50 if FULL_SWEEP else 3
MODELS = ("explicit_mf", "explicit_mf_bias")
SHARDS = 19
"""Of a model: 300 users, 16 to a shard."""

log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    mlflow_database(folder / "mlflow.db")
    write_synthetic(folder / "ratings.parquet", n_users=300, n_items=100, n_ratings=6000, seed=1)
    return folder


@pytest.fixture(scope="module")
def begin(project, prefect_api):
    """Start ``recobatch run`` as a process of its own, in ``project``, on small ratings in many small shards."""
    environment = {**os.environ, "PREFECT_API_URL": prefect_api}
    small = (
        "models=explicit_mf,explicit_mf_bias",
        "champion.validation_fraction=0",
        "gate.baseline=none",
        "gate.ranking=none",
        "train.epochs=2",
        *([] if FULL_SWEEP else ["interest.method=none"]),
        "score.rows_per_shard=1600",
        "score.rows_per_group=1600",
    )

    def begin(table, *more):
        arguments = ["run", "ratings.parquet", "--table", table, *(f"--set={each}" for each in small), "--json", *more]
        return ForkedRun(arguments, cwd=project, env=environment)

    return begin


@pytest.fixture(scope="module")
def undisturbed(begin, project):
    """How long a run takes that nobody strikes, and what it predicts; its table is ``struck``."""
    server_address()  # starts the server, which is not to count
    started = time.monotonic()
    finish(begin("struck"))
    return time.monotonic() - started, predictions(project / "struck")


def finish(process):
    out, err = process.communicate(timeout=250)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def strike(process, *, after):
    """Kill a run after so many seconds. One that ends sooner must have gone well; returns how long it took."""
    started = time.monotonic()
    try:
        _, err = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    assert process.returncode == 0, err
    return time.monotonic() - started


def strike_when(process, is_time):
    while process.poll() is None and not is_time():
        time.sleep(0.002)
    process.kill()
    out, err = process.communicate()
    assert process.returncode == -9, (out, err)


def predictions(root):
    current = root / "current" / "table"
    return [pq.read_table(current / f"model={name}", partitioning=None) for name in MODELS]


@pytest.mark.timeout(300 + 90 * MOMENTS)
def test_killed_at_any_moment_while_consumers_read(begin, project, undisturbed):
    length, truth = dict.fromkeys(("--fresh", "--force"), undisturbed[0]), undisturbed[1]
    root, counts, seen = project / "struck", Counter(), []
    table = open_table(root)
    with reading(root, pause=0.5) as readers:
        for moment in np.random.default_rng(3).uniform(0.1, 1, 4 * MOMENTS):
            if counts["killed"] == MOMENTS:
                break
            # Every other run goes on with what the one before has left.
            how = ("--fresh", "--force")[counts["runs"] % 2]
            lasted = strike(begin("struck", how), after=moment * length[how])
            counts["runs"] += 1
            counts["killed"] += lasted is None
            # Runs take longer on a busy machine: moments that are all too late would strike nobody.
            length[how] = lasted or length[how]
            current = table.current().version
            seen += [current] if current not in seen else []
            counts["verified"] += table.verify().ok
            counts["lost"] += len(set(seen[-3:]) - {snapshot.version for snapshot in table.snapshots()})
        last = finish(begin("struck", "--force"))
        told = readers()
    log.info("%s, snapshots %d, readers %s", dict(counts), len(seen), told)
    assert counts["killed"] == MOMENTS
    assert counts["verified"] == counts["runs"]
    assert counts["lost"] == 0
    assert table.current().version == last["table"]["version"]
    assert predictions(root) == truth
    assert [path.name for path in root.iterdir() if path.name.startswith(".stag")] == []
    for name, saw in told.items():
        assert saw["wrong"] == saw["failed"] == [], name
        assert saw["reads"] > MOMENTS, name


def test_a_run_that_died_twice_does_nothing_twice(begin, project, undisturbed):
    """Once in training, once at the sixtieth of 76 files; in a workspace of its own."""
    root, own = project / "taken", ("--set", "work.path=own", "--set", "score.threads=1")
    strike_when(begin("taken", *own), lambda: list((project / "own").glob("train-explicit_mf-*")))
    strike_when(begin("taken", *own), lambda: len(list(root.glob(".staging-*/reports/*.json"))) >= 60)
    left = open_table(root).unfinished()[0]
    summary = finish(begin("taken", *own))
    assert {"ingest", "encode", "split", *(f"train {name}" for name in MODELS)} <= set(summary["reused"])
    scored = [stage for stage in summary["reused"] if stage.startswith("score")]
    assert scored[0] == f"score explicit_mf: {SHARDS} of {SHARDS} shards"
    assert scored[1].startswith("score explicit_mf_bias: ")
    assert summary["batch_id"] == summary["table"]["version"] == left.version
    assert predictions(root) == undisturbed[1]
    assert open_table(root).verify().ok
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    for name, facts in open_table(root).current().manifest.models.items():
        run = client.get_run(facts.mlflow_run_id)
        assert (run.info.status, run.data.tags["batch_id"], run.data.tags["model"]) == ("FINISHED", left.version, name)
        assert len(run.outputs.model_outputs) == 1


def test_a_run_killed_after_it_had_published_is_ended_by_the_next(begin, project):
    """That one publishes nothing, but MLflow shows the batch as finished, and its report is there."""
    table = open_table(project / "ended")
    strike_when(begin("ended", "--fresh"), lambda: (table.root / "current.json").exists())
    published = table.current()
    assert not (project / ".recobatch" / "reports" / f"{published.version}.html").exists()
    summary = finish(begin("ended"))
    assert summary["unchanged"] is True
    assert summary["batch_id"] == summary["table"]["version"] == table.current().version == published.version
    assert published.version in (project / summary["report"]).read_text()
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    for name, facts in published.manifest.models.items():
        run = client.get_run(facts.mlflow_run_id)
        assert (run.info.status, run.data.tags["table_version"]) == ("FINISHED", published.version)
        assert run.data.params["fact.published_rows"] == str(published.rows[name])
        assert "report.html" in {file.path for file in client.list_artifacts(facts.mlflow_run_id)}
    page = project / summary["report"]
    made = page.stat().st_mtime_ns
    assert finish(begin("ended"))["unchanged"] is True
    assert page.stat().st_mtime_ns == made
