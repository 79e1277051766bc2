"""prefect.yaml against a real server with a scheduler and a real worker, all on loopback."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.server import LocalServer
from recobatch.synthetic import write_synthetic
from recobatch.table import PredictionTable

REPO = Path(__file__).parents[2]
PREFECT = [sys.executable, "-m", "prefect"]
SERVE = "from flows.cli import main; main()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed")
    write_synthetic(folder / "ratings.csv", n_users=80, n_items=40, n_ratings=1500, seed=2)
    return folder


@pytest.fixture(scope="module")
def scheduler(prefect_api):
    """Address of a server that plans runs; the other one, without a scheduler, made the database."""
    server = LocalServer(with_scheduler=True)
    try:
        yield server.wait_until_ready().api_url
    finally:
        server.stop()


@pytest.fixture(scope="module")
def environment(folder, scheduler):
    job = {"RECOBATCH_DATA__RATINGS": "ratings.csv", "RECOBATCH_GATE__BASELINE": "none", "RECOBATCH_TRAIN__EPOCHS": "2"}
    return {**os.environ, **job, "PREFECT_API_URL": scheduler, "RECOBATCH_HOME": str(folder)}


@pytest.fixture
def client(scheduler):
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: scheduler}), get_client(sync_client=True) as client:
        yield client


@contextmanager
def background(command, **options):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def start(client, name):
    deployment = client.read_deployment_by_name(name)
    return client.create_flow_run_from_deployment(deployment.id).id


def ended(client, run_id, seconds=150):
    """The state in which a run ended; fails the test if it does not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = client.read_flow_run(run_id).state
        if state.is_final():
            return state
        time.sleep(0.3)
    return pytest.fail(f"the run has not ended within {seconds} s, it is {state.name}")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_deployments_run_fail_and_give_way_as_documented(environment, client, folder):
    def prefect(*arguments):
        done = subprocess.run([*PREFECT, *arguments], cwd=REPO, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    prefect("work-pool", "create", "recobatch", "--type", "process")
    prefect("--no-prompt", "deploy", "--all")
    with background([*PREFECT, "worker", "start", "--pool", "recobatch"], env=environment, cwd=folder):
        failed = ended(client, start(client, "score-pairs/score-pairs"))
        assert failed.is_failed()
        assert "champion" in failed.message.splitlines()[0]

        first, second = (start(client, "batch-scoring/batch-scoring") for _ in range(2))
        states = [ended(client, run) for run in (first, second)]
        assert sorted(state.name for state in states) == ["Cancelled", "Completed"]
        assert len(list((folder / "predictions" / "versions").iterdir())) == 1

        assert ended(client, start(client, "score-pairs/score-pairs")).is_completed()
    # The environment's settings count where the run takes place: these are not MovieLens' rows.
    assert set(PredictionTable(folder / "predictions").current().rows.values()) == {80 * 40}
    schedules = {
        name: [
            (s.schedule.cron, s.schedule.timezone) for s in client.read_deployment_by_name(f"{name}/{name}").schedules
        ]
        for name in ("batch-scoring", "train-models", "score-pairs")
    }
    assert schedules == {
        "batch-scoring": [], "train-models": [("0 2 * * 0", "UTC")], "score-pairs": [("0 3 * * *", "UTC")],
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_served_schedule_starts_a_run_by_itself(environment, client):
    command = [sys.executable, "-c", SERVE, "serve", "--cron", "* * * * *", "--timezone", "Europe/Berlin"]
    folder = Path(environment["RECOBATCH_HOME"])
    with background(command, env=environment, cwd=folder):
        run = first_scheduled(client)
        assert ended(client, run.id).is_completed()
    assert run.expected_start_time.second == 0


def first_scheduled(client, seconds=150):
    """The first run that the schedule, and nobody else, started."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterStartTime

    started = FlowRunFilter(start_time=FlowRunFilterStartTime(is_null_=False))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if runs := [run for run in client.read_flow_runs(flow_run_filter=started) if run.auto_scheduled]:
            return runs[0]
        time.sleep(0.3)
    return pytest.fail(f"the schedule has not started a run within {seconds} s")
