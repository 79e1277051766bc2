"""Workers that have the package and the bucket: a scheduler and two of them, without a view of the project folder."""

import os
import re
import signal

import dask
import pytest

from flows.settings.load import load_settings
from flows.tasks import shards
from flows.tasks.engines import shard_runner
from flows.tasks.same_build import Build, Expected
from flows.tasks.shards import Source, score_shards
from recobatch.errors import RecobatchError
from recobatch.model_folder import ModelFolder
from recobatch.scoring.predictions import ScoreOptions
from recobatch.table import open_table
from tests.support.dask_cluster import DaskCluster
from tests.support.faults.disk import FULL_SWEEP
from tests.support.uploads import Watch

QUICK = ("--set", "train.epochs=2", "--set", "model.n_factors=4", "--set", "gate.baseline=none", "--json")
SHARDS = ("--set", "score.rows_per_shard=200", "--set", "score.rows_per_group=40")
N_SHARDS = 4

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("one_model")]


@pytest.fixture(scope="module")
def cluster(project, s3_server):
    """Two workers; the server knows each by its key."""
    cluster = DaskCluster(project, s3_server.environment)
    for number in range(2):
        cluster.add_worker(AWS_ACCESS_KEY_ID=f"worker-{number}")
    yield cluster
    cluster.stop()


@pytest.fixture
def on_cluster(recobatch, s3, cluster):
    """``recobatch`` with its table and workspace in the bucket, and its shards on the cluster."""

    def run(*arguments):
        places = ("--table", s3.uri, "--set", f"work.path=s3://{s3.name}/work", "--engine", "dask")
        with dask.config.set({"scheduler-address": cluster.address}):
            return recobatch(*arguments, *places, *SHARDS, "--json")

    return run


@pytest.fixture
def champion(recobatch, ratings_csv, finished):
    """The project's registry has a champion."""
    if not finished:
        trained = recobatch("train", ratings_csv, *QUICK)
        assert trained.code == 0, trained.err
        finished["champion"] = trained


def test_a_whole_run_and_the_bytes_of_threads(
    on_cluster, recobatch, ratings_csv, cluster, s3, at_project, monkeypatch, finished
):
    outcome = on_cluster("run", ratings_csv, *QUICK)
    assert outcome.code == 0, outcome.err
    assert open_table(s3.uri).verify().ok
    finished["champion"] = outcome

    monkeypatch.setattr("flows.job.new_batch_id", lambda: "v2")
    there = on_cluster("score", "--force")
    assert there.code == 0, there.err + cluster.log(0)
    here = recobatch("score", "--json", "--table", "twin", *SHARDS)
    assert here.code == 0, here.err
    ours, theirs = open_table(at_project / "twin").current(), open_table(s3.uri).current()
    assert (ours.version, theirs.version, theirs.champion) == ("v2", "v2", ours.champion)
    assert len(ours.parts("table")) == len(ours.parts("top")) == N_SHARDS
    shards = [
        [file for file in each.manifest.files if f"/model={ours.champion}/" in file.path] for each in (ours, theirs)
    ]
    assert len(shards[0]) == 2 * N_SHARDS
    assert shards[0] == shards[1]
    assert not s3.names_below("staging/")
    for number in cluster.alive:
        assert cluster.peak_memory(number) < 10**9
        assert not list(cluster.home(number).rglob("part-*"))


@pytest.mark.usefixtures("champion")
def test_the_next_run_takes_up_what_the_workers_of_a_dead_one_have_written(on_cluster, cluster, s3, s3_server):
    refused = f"worker-{cluster.alive[-1]}"
    watch = Watch(lambda who, count: "403 Forbidden" if who == refused else None)
    s3_server.reset(tamper=watch)
    failed = on_cluster("score")
    assert failed.code == 2
    assert re.match(r"worker \S+ \(pid \d+\): s3://.* does not permit to write versions/", failed.refusal)
    assert s3.names_below("current.json") == []
    whole = len(s3.names_below("versions/"))
    assert whole > 0
    s3_server.reset(tamper=(again := Watch(lambda *_: None)))
    assert on_cluster("score").code == 0
    assert len(again.uploads) == 2 * N_SHARDS - whole
    assert open_table(s3.uri).verify().ok


@pytest.mark.usefixtures("champion")
@pytest.mark.parametrize("at", range(1, 5) if FULL_SWEEP else [4])
def test_a_worker_that_dies_costs_the_shard_in_its_hands(on_cluster, cluster, s3, s3_server, monkeypatch, at):
    """Two shards a task, and more tasks than workers: the fourth upload of a worker is the last of its second task.

    Dask then gives out its first task again as well, whose result was in its memory.
    """
    monkeypatch.setattr(shards, "MAX_TASKS", N_SHARDS)
    cluster.add_worker(AWS_ACCESS_KEY_ID=f"worker-{len(cluster.workers)}")
    died = []

    def kill(who, count):
        if count == at and not died:
            died.append(who)
            os.kill(cluster.workers[int(who.partition("-")[2])].pid, signal.SIGKILL)

    s3_server.reset(tamper=(watch := Watch(kill)))
    outcome = on_cluster("score")
    assert outcome.code == 0, outcome.err
    assert len(died) == 1
    assert open_table(s3.uri).verify().ok
    counts = watch.per_part()
    assert len(counts) == 2 * N_SHARDS
    assert sum(counts.values()) <= 2 * N_SHARDS + 1, counts


def test_a_worker_of_another_build_is_refused_before_it_computes(server, cluster, tmp_path):
    settings = load_settings({"engine": "dask"}, environment={})
    expected = Expected(Build("2.7", "0.0.1", "1", "2"), {})
    source = Source(None, ModelFolder(tmp_path), {}, expected)
    parameters = {"source": source, "shards": [], "options": ScoreOptions()}
    with dask.config.set({"scheduler-address": cluster.address}), shard_runner(settings) as runner:
        future = runner.submit(score_shards, parameters=parameters)
        with pytest.raises(RecobatchError, match=r"^worker \S+ \(pid \d+\): found python 3\.\d+, expected 2\.7 as the"):
            future.result()
