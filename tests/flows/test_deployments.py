"""docs/schedule.md from top to bottom: its own commands against the server and the worker that they start."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect.states import Scheduled

from flows.settings.load import load_settings
from recobatch.table import open_table
from tests.support.databases import prefect_home
from tests.support.mlflow_server import free_port
from tests.support.pages import blocks
from tests.support.paths import REPO
from tests.support.webhook import receiving

PAGE = [block for block in blocks(REPO / "docs" / "schedule.md") if block.language in {"bash", "toml"}]
SCHEDULED = {"batch-scoring": "0 1 * * *", "train-models": "0 2 * * 0", "score-pairs": "0 3 * * *"}


def on_page(words):
    """The one block of the page with these words in it."""
    [block] = [block for block in PAGE if words in block.text]
    return block.text


@pytest.fixture(scope="module")
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def folder(tmp_path_factory, flow_servers):
    folder = tmp_path_factory.mktemp("recommendations")
    with flow_servers.tracking(folder):
        yield folder


@pytest.fixture(scope="module")
def environment(folder, receiver, tmp_path_factory, flow_servers):
    """What the page exports, with a port, a folder and a receiver of the test's own."""
    port = free_port()
    ours = {
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "RECOBATCH_HOME": str(folder),
        "RECOBATCH_NOTIFY__WEBHOOK": receiver.address,
    }  # fmt: skip
    exported = {name for block in PAGE for name in re.findall(r"^export (\w+)=", block.text, re.MULTILINE)}
    assert exported == ours.keys()
    asked_often = {"PREFECT_WORKER_QUERY_SECONDS": "2", "PREFECT_RUNNER_POLL_FREQUENCY": "2"}  # by default every ten
    one_model = {
        "RECOBATCH_MODELS": "explicit_mf_bias", "RECOBATCH_INTEREST__METHOD": "none", "RECOBATCH_GATE__RANKING": "none",
    }  # fmt: skip
    on_the_path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {
        "PATH": on_the_path,
        "PREFECT_HOME": str(prefect_home(tmp_path_factory.mktemp("prefect"))),
        "PREFECT_SERVER_API_PORT": str(port),
    }
    return {**os.environ, **ours, **asked_often, **one_model, **own, **flow_servers.prefect_database()}


@pytest.fixture(scope="module")
def shell(environment):
    """Run a block of the page, from the checkout, to its end."""

    def shell(words):
        command = ["bash", "-euc", on_page(words)]
        return subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True)

    return shell


@contextmanager
def running(words, environment, log):
    """Run a block of the page that stays until it is stopped."""
    with log.open("w") as out:
        command = ["bash", "-euc", on_page(words)]
        process = subprocess.Popen(
            command, cwd=REPO, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def server(environment, tmp_path_factory):
    api, log = environment["PREFECT_API_URL"], tmp_path_factory.mktemp("logs") / "server.log"
    with running("prefect server start", environment, log):
        until(lambda: answers(f"{api}/health"), lambda: log.read_text())
        yield api


@pytest.fixture(scope="module")
def deployed(server, shell, folder, environment, tmp_path_factory):
    """The page up to its worker: ratings, settings, pool and deployments."""
    (folder / "recobatch.toml").write_text(on_page("preset ="))
    for words in ("recobatch synth", "prefect work-pool create"):
        done = shell(words)
        assert done.returncode == 0, done.stdout + done.stderr
    with running("prefect worker start", environment, tmp_path_factory.mktemp("logs") / "worker.log"):
        yield server


@pytest.fixture
def client(server):
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: server}), get_client(sync_client=True) as client:
        yield client


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def until(found, trouble=lambda: "", seconds=150):
    """What ``found`` finds, as soon as it does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.3)
    return pytest.fail(f"nothing within {seconds} s {trouble()}")


def runs_of(client, flow, state=None):
    """The flow runs of a flow that were started or have ended, the oldest first."""
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName
    from prefect.client.schemas.sorting import FlowRunSort

    runs = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])), sort=FlowRunSort.EXPECTED_START_TIME_ASC
    )
    # Prefect reads runs and their states one after the other: one that is planned or dropped meanwhile has no state.
    return [run for run in runs if run.deployment_id and run.state and state in (None, run.state.name)]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_deployed_batch_completes_with_its_artifacts(deployed, shell, client, folder):
    done = shell("batch-scoring --watch")
    assert done.returncode == 0, done.stdout + done.stderr
    [run] = runs_of(client, "batch-scoring", "Completed")
    assert not run.auto_scheduled
    # The folder's settings count where the run takes place: these are not MovieLens' rows.
    published = open_table(folder / "predictions").current()
    assert set(published.rows.values()) == {500 * 100}
    shown = shell("prefect artifact inspect")
    assert shown.returncode == 0, shown.stderr
    assert published.version in shown.stdout
    assert "explicit_mf_bias" in shown.stdout
    answer = answers(f"{deployed.removesuffix('/api')}/ui-settings")
    assert answer["api_url"] == deployed


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_failing_one_says_why_and_tells_the_webhook(deployed, shell, client, receiver):
    done = shell("absent.csv")
    assert done.returncode == 1, done.stdout + done.stderr
    [run] = runs_of(client, "train-models", "Failed")
    first = run.state.message.splitlines()[0]
    assert "absent.csv: " in first
    [message] = [message for _, _, message in receiver.posted if message["flow_run_id"] == str(run.id)]
    assert message["kind"] == "bad input"
    assert message["reason"] in first
    assert message["url"].endswith(f"/runs/flow-run/{run.id}")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_of_two_that_overlap_the_later_waits(deployed, shell, client):
    """The worker asks for runs more often than the first takes, even where it finds nothing new."""
    before = {run.id for run in runs_of(client, "batch-scoring") if not run.auto_scheduled}
    done = shell("run batch-scoring/batch-scoring\nprefect")
    assert done.returncode == 0, done.stdout + done.stderr

    def ended():
        runs = [run for run in runs_of(client, "batch-scoring") if run.id not in before and not run.auto_scheduled]
        return runs if len(runs) == 2 and all(run.state.is_final() for run in runs) else None

    first, second = sorted(until(ended, seconds=600), key=lambda run: run.created)
    assert (first.state.name, second.state.name) == ("Completed", "Completed")
    assert first.end_time <= second.start_time


@pytest.mark.long
@pytest.mark.timeout(300)
def test_every_deployment_is_planned_in_its_time_zone_and_once_at_a_time(deployed, client, environment):
    """Those that the page does not deploy, as it chose another, too."""
    deploy = ["prefect", "--no-prompt", "deploy", "--all"]
    subprocess.run(deploy, cwd=REPO, env=environment, check=True, capture_output=True)
    page = (REPO / "docs" / "schedule.md").read_text()
    for name, cron in SCHEDULED.items():
        deployment = client.read_deployment_by_name(f"{name}/{name}")
        [schedule] = deployment.schedules
        assert (schedule.schedule.cron, schedule.schedule.timezone, schedule.active) == (cron, "UTC", True)
        assert deployment.global_concurrency_limit is None
        assert f"| `{name}` | " in page
    assert client.read_work_pool("recobatch").concurrency_limit == 1
    planned = until(lambda: [run for run in runs_of(client, "score-pairs", "Scheduled") if run.auto_scheduled])
    assert {(run.expected_start_time.hour, run.expected_start_time.minute) for run in planned} == {(3, 0)}


def test_the_settings_of_a_cluster_are_settings(tmp_path):
    (tmp_path / "recobatch.toml").write_text(on_page('engine = "dask"'))
    settings = load_settings({}, environment={}, toml=tmp_path / "recobatch.toml")
    assert (settings.engine, settings.table.path, settings.work.path) == (
        "dask", "s3://bucket/predictions", "s3://bucket/work",
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_served_schedule_starts_a_run_by_itself(deployed, environment, client, tmp_path):
    """A run that the schedule planned for one of the next minutes is brought forward, so that nobody waits for it."""
    log = tmp_path / "serve.log"

    def planned():
        crons = {each.id: [one.schedule.cron for one in each.schedules] for each in client.read_deployments()}
        return [
            run
            for run in runs_of(client, "batch-scoring", "Scheduled")
            if crons.get(run.deployment_id) == ["* * * * *"]
        ]

    def completed():
        runs = [run for run in runs_of(client, "batch-scoring", "Completed") if run.auto_scheduled]
        return runs[0] if runs else None

    with running("recobatch serve", environment, log):
        first = until(planned, lambda: log.read_text())[0]
        assert first.auto_scheduled
        client.set_flow_run_state(first.id, Scheduled())
        run = until(completed, lambda: log.read_text(), 200)
    assert run.expected_start_time.second == 0
