"""A run on a cluster: its workers and itself are killed, the bucket falters; readers see whole tables all the while."""

import json
import os
import random
import re
import signal
import threading
from itertools import count

import pytest

from recobatch.sources.synthetic import write_synthetic
from recobatch.table import open_table
from tests.support.dask_cluster import DaskCluster, may_mount
from tests.support.databases import mlflow_database
from tests.support.faults.disk import FULL_SWEEP
from tests.support.fork_server import ForkedRun
from tests.support.object_tables import S3Place
from tests.support.uploads import Watch

USERS, ITEMS, SHARDS = 192, 40, 12
UPLOADS = 2 * SHARDS
"""Of a run: predictions and top lists."""
WORKERS = 3
SETTINGS = (
    "models=explicit_mf",
    "champion.validation_fraction=0",
    "gate.baseline=none",
    "gate.ranking=none",
    "model.n_factors=4",
    "train.epochs=2",
    f"score.rows_per_shard={USERS * ITEMS // SHARDS}",
    f"score.rows_per_group={USERS * ITEMS // SHARDS}",
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800 if FULL_SWEEP else 300)]


class Cluster:
    """A scheduler, as many living workers as there should be, and runs that use them."""

    def __init__(self, project, s3_server, prefect_api) -> None:
        self.project, self.s3_server = project, s3_server
        self.dask = DaskCluster(project, s3_server.environment)
        self.place = S3Place()
        self.environment = {
            **os.environ, **s3_server.environment, "AWS_ACCESS_KEY_ID": "run", "PREFECT_API_URL": prefect_api,
            "DASK_SCHEDULER_ADDRESS": self.dask.address,
        }  # fmt: skip
        self.table = open_table(self.place.uri)
        self.keep_up()

    def keep_up(self) -> None:
        """Start a worker for each that has died."""
        for _ in range(WORKERS - len(self.dask.alive)):
            self.dask.add_worker(AWS_ACCESS_KEY_ID=f"worker-{len(self.dask.workers)}")

    def start(self, *arguments) -> ForkedRun:
        places = ("--table", self.place.uri, "--set", f"work.path=s3://{self.place.name}/work")
        settings = (f"--set={each}" for each in SETTINGS)
        return ForkedRun([*arguments, *places, *settings, "--json"], cwd=self.project, env=self.environment)

    def score(self) -> ForkedRun:
        return self.start("score", "--engine", "dask", "--force")

    def kill_worker(self) -> None:
        """Kill one worker, and wait until it has ended."""
        worker = self.dask.workers[self.dask.alive[0]]
        worker.kill()
        worker.wait()


def ended(run: ForkedRun) -> dict:
    out, err = run.communicate(timeout=200)
    assert run.returncode == 0, err
    return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, s3_server, prefect_api):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        project = tmp_path_factory.mktemp("cluster-killed")
        mlflow_database(project / "mlflow.db")
        write_synthetic(project / "ratings.parquet", n_users=USERS, n_items=ITEMS, n_ratings=4000, seed=1)
        cluster = Cluster(project, s3_server, prefect_api)
        ended(cluster.start("run", "ratings.parquet"))
        yield cluster
        s3_server.reset()
        cluster.dask.stop()


@pytest.fixture
def reads(cluster):
    """Read the published predictions all the while; what was wrong."""
    stop, wrong, seen = threading.Event(), [], []

    def read() -> None:
        while not stop.is_set():
            try:
                rows = cluster.place.read_table()
                seen.append(rows.num_rows)
                assert rows.num_rows == USERS * ITEMS
            except Exception as error:  # noqa: BLE001 - whatever a reader may get
                wrong.append(repr(error))
            stop.wait(0.1)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    yield wrong
    stop.set()
    reader.join()
    assert seen
    assert wrong == []


def ours(environ) -> bool:
    """Whether a request is one of the run or its workers; others are those of readers."""
    return re.search(r"Credential=(run|worker-\w+)/", environ.get("HTTP_AUTHORIZATION", "")) is not None


def moments() -> list[tuple[str, int]]:
    """Who dies at which upload."""
    if not FULL_SWEEP:
        return [("two workers and the run", UPLOADS // 3)]
    kinds = ("a worker", "two workers", "the run", "two workers and the run")
    random_ = random.Random(3)
    return [(kinds[number % len(kinds)], random_.randrange(1, UPLOADS - 2)) for number in range(20)]


@pytest.mark.parametrize(("victims", "at"), moments())
def test_killed_while_consumers_read(cluster, reads, victims, at):
    cluster.keep_up()
    uploads, run, killed = count(1), None, []

    def act(who, _) -> None:
        number = next(uploads)
        if number == at and "worker" in victims:
            cluster.kill_worker()
            killed.append("worker")
        if number == at + 1 and "two" in victims:
            cluster.kill_worker()
            killed.append("worker")
        if number == at + 2 and "run" in victims:
            os.kill(run.pid, signal.SIGKILL)
            killed.append("run")

    cluster.s3_server.reset(tamper=(watch := Watch(act)))
    before = cluster.table.current().version
    run = cluster.score()
    run.communicate(timeout=200)
    if "run" in killed:
        assert run.returncode == -signal.SIGKILL
        assert cluster.table.current().version == before
        run = cluster.score()
    summary = ended(run)
    cluster.s3_server.reset()
    assert killed
    assert cluster.table.current().version == summary["table"]["version"] != before
    assert cluster.table.verify().ok
    counts = watch.per_part()
    assert len(counts) == UPLOADS
    # A shard that was in a dead worker's hands is written again; so are those of a dead run that workers still held.
    in_hand = killed.count("worker") + (WORKERS if "run" in killed else 0)
    assert sum(counts.values()) <= UPLOADS + in_hand, counts


def test_a_bucket_that_falters(cluster, reads):
    """Unavailable, in conflict, and answers that break in the middle: the run goes on, and nothing is missing."""
    cluster.keep_up()
    requests, answers = count(1), count(1)

    def falter(environ) -> str | None:
        if not ours(environ):
            return None
        number = next(requests)
        if number % 11 == 0:
            return "503 Slow Down"
        return "409 Conditional Request Conflict" if number % 7 == 0 and environ["REQUEST_METHOD"] == "PUT" else None

    cluster.s3_server.reset(tamper=falter, halve=lambda environ: ours(environ) and next(answers) % 13 == 0)
    summary = ended(cluster.score())
    cluster.s3_server.reset()
    assert next(answers) > 100
    assert cluster.table.current().version == summary["table"]["version"]
    assert cluster.table.verify().ok


def test_two_runs_at_once(cluster, reads):
    cluster.keep_up()
    runs = [cluster.score() for _ in range(2)]
    ends = [(*run.communicate(timeout=200), run.returncode) for run in runs]
    codes = [code for _, _, code in ends]
    assert set(codes) <= {0, 4}, ends
    won = [json.loads(out.splitlines()[-1])["table"]["version"] for out, _, code in ends if code == 0]
    assert cluster.table.current().version in won
    assert all("held by batch" in err for _, err, code in ends if code == 4)
    assert cluster.table.verify().ok
    assert not cluster.place.names_below("staging/")


@pytest.mark.skipif(not may_mount(), reason="nobody may mount a tmpfs here: a worker's full disk is not tested")
def test_a_worker_whose_disk_is_full(cluster):
    while cluster.dask.alive:
        cluster.kill_worker()
    disk = cluster.dask.add_small_worker(AWS_ACCESS_KEY_ID="worker-small")
    with pytest.raises(OSError, match="No space"), (disk / "filler").open("wb") as filler:
        filler.write(bytes(2**21))
    run = cluster.score()
    _, err = run.communicate(timeout=200)
    assert run.returncode == 1, err
    assert re.search(r"^recobatch: worker \S+ \(pid \d+\): .*No space left on device", err, re.MULTILINE), err
    (disk / "filler").unlink()
    ended(cluster.score())
    assert cluster.table.verify().ok
