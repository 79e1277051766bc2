"""Who computes the shards, and what is opened for it."""

import os
import sys

import dask
import distributed
import pyarrow.parquet as pq
import pytest
from distributed.security import Security

from flows.settings.load import load_settings
from flows.tasks.engines import shard_runner
from recobatch.errors import BadSettings, RecobatchError
from tests.support.listening import family, listening_sockets

QUICK = ("--set", "train.epochs=3", "--set", "model.n_factors=4", "--set", "gate.baseline=none", "--json")
DASK = load_settings({"engine": "dask"}, environment={})

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_model")]


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_all_that_two_runs_with_dask_open_is_on_loopback(server):
    before = listening_sockets(family(os.getpid()))
    with shard_runner(DASK), shard_runner(DASK):
        opened = listening_sockets(family(os.getpid())) - before
    assert len(opened) > 4
    assert {address for address, _ in opened} == {"127.0.0.1"}


@pytest.mark.long
def test_dask_takes_no_work_from_others(server):
    with shard_runner(DASK) as runner:
        address = runner.client.scheduler.address
        assert runner.client.submit(sum, [1, 2]).result(timeout=60) == 3
        for other, security in {address.replace("tls", "tcp"): None, address: Security.temporary()}.items():
            with pytest.raises(OSError, match=r"Timed out|closed|TLS certificate does not match"):
                distributed.Client(other, security=security, timeout=2)


@pytest.mark.long
def test_the_cluster_that_dask_is_told_of_computes_the_same_bits(recobatch, ratings_csv, at_project, caplog):
    threads = recobatch("run", ratings_csv, *QUICK, "--table", "threads").json
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0") as cluster,
        dask.config.set({"scheduler-address": cluster.scheduler_address}),
    ):
        outcome = recobatch("run", ratings_csv, *QUICK, "--table", "cluster", "--engine", "dask", "--fresh")
    assert outcome.code == 0, outcome.err
    assert not [record for record in caplog.records if record.name.startswith("distributed")]
    assert f"an existing Dask cluster at {cluster.scheduler_address}" in caplog.text
    assert outcome.json["table"]["rows"] == threads["table"]["rows"]
    for model in threads["models"]:
        part = f"current/table/model={model}"
        there, here = (pq.read_table(at_project / table / part, partitioning=None) for table in ("cluster", "threads"))
        assert there == here


def test_a_cluster_that_does_not_answer_is_named(server):
    away = {"scheduler-address": "tcp://127.0.0.1:9", "distributed.comm.timeouts.connect": "500ms"}
    with dask.config.set(away), pytest.raises(RecobatchError) as refused, shard_runner(DASK):
        pass
    assert str(refused.value).startswith("engine dask: found no scheduler at tcp://127.0.0.1:9 (")
    assert str(refused.value).endswith("expected one; start it, or unset DASK_SCHEDULER_ADDRESS")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "prefect_dask", None)
    with (
        pytest.raises(BadSettings, match=r"found 'dask' and no prefect_dask, .*install recobatch\[dask\]"),
        shard_runner(DASK),
    ):
        pass
