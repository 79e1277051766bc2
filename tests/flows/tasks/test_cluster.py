"""Workers that have the package and the bucket: a scheduler and two of them, without a view of the project folder."""

import dask
import pytest

from recobatch.table import open_table
from tests.support.dask_cluster import DaskCluster

QUICK = ("--set", "train.epochs=2", "--set", "model.n_factors=4", "--set", "gate.baseline=none", "--json")
SHARDS = ("--set", "score.rows_per_shard=200", "--set", "score.rows_per_group=40")


@pytest.fixture(scope="module")
def cluster(project, s3_server):
    cluster = DaskCluster(project, s3_server.environment)
    cluster.add_worker()
    cluster.add_worker()
    yield cluster
    cluster.stop()


@pytest.fixture
def on_cluster(recobatch, s3, cluster):
    """``recobatch`` with its table and workspace in the bucket, and its shards on the cluster."""

    def run(*arguments):
        places = ("--table", s3.uri, "--set", f"work.path=s3://{s3.name}/work", "--engine", "dask")
        with dask.config.set({"scheduler-address": cluster.address}):
            return recobatch(*arguments, *places, *SHARDS)

    return run


def test_a_whole_run_and_the_bytes_of_threads(on_cluster, recobatch, ratings_csv, cluster, s3, at_project, monkeypatch):
    outcome = on_cluster("run", ratings_csv, *QUICK)
    assert outcome.code == 0, outcome.err
    assert open_table(s3.uri).verify().ok

    monkeypatch.setattr("flows.job.new_batch_id", lambda: "v2")
    there = on_cluster("score", "--json")
    assert there.code == 0, there.err + cluster.log(0)
    here = recobatch("score", "--json", "--table", "twin", *SHARDS)
    assert here.code == 0, here.err
    ours, theirs = open_table(at_project / "twin").current(), open_table(s3.uri).current()
    assert ours.version == "v2"
    assert len(ours.manifest.files) >= 2 * 4
    assert ours.manifest.files == theirs.manifest.files
    assert not s3.names_below("staging/")
    for number in range(2):
        assert cluster.peak_memory(number) < 10**9
        assert not [path for path in cluster.home(number).rglob("*.parquet") if path.name.startswith("part-")]
