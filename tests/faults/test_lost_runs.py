"""A run that is killed with everything around it keeps its place under the concurrency limit until it is noticed."""

import os
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Pending, Running

from flows.server.local import LocalServer
from flows.server.lost_runs import AUTOMATION, notice_lost_runs
from tests.support.databases import prefect_home
from tests.support.faults.disk import FULL_SWEEP
from tests.support.faults.whole_run import COMMAND, Project

pytestmark = pytest.mark.long

NAME = "batch-scoring/batch-scoring"


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Of a server with a scheduler and a database of its own."""
    monkeypatch.setenv("PREFECT_HOME", str(prefect_home(tmp_path / "prefect")))
    server = LocalServer(with_scheduler=True)
    try:
        api_url = server.wait_until_ready().api_url
        with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
            yield client
    finally:
        server.stop()


def hurry(client):
    """Let the automation wait for seconds, not minutes; all else is as it is shipped."""
    (automation,) = client.read_automations_by_name("recobatch lost runs")
    assert automation.trigger.within == timedelta(minutes=2)
    hurried = AutomationCore.model_validate_json(AUTOMATION.read_text())
    hurried.trigger.within = timedelta(seconds=10)
    client.update_automation(automation.id, hurried)


def wait_for(client, run_id, wanted, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = client.read_flow_run(run_id).state
        if state.name in wanted:
            return state
        time.sleep(0.3)
    return pytest.fail(f"the run is {state.name}, not {wanted}, after {seconds} s")


def start(client):
    return client.create_flow_run_from_deployment(client.read_deployment_by_name(NAME).id).id


def test_a_run_without_signs_of_life_gives_its_place_away(client):
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.events import emit_event
    from prefect.events.worker import EventsWorker

    notice_lost_runs()
    notice_lost_runs()
    hurry(client)
    flow_id = client.create_flow_from_name("batch-scoring")
    limit = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    client.create_deployment(
        flow_id=flow_id, name="batch-scoring", concurrency_limit=limit.limit,
        concurrency_options={"collision_strategy": limit.collision_strategy},
    )  # fmt: skip
    lost, next_one = start(client), start(client)
    for state in (Pending(), Running()):
        client.set_flow_run_state(lost, state)
    resource = {"prefect.resource.id": f"prefect.flow-run.{lost}"}
    of_flow = {
        "prefect.resource.id": f"prefect.flow.{flow_id}", "prefect.resource.role": "flow",
        "prefect.resource.name": "batch-scoring",
    }  # fmt: skip
    emit_event("prefect.flow-run.heartbeat", resource=resource, related=[of_flow])
    EventsWorker.instance().wait_until_empty()
    client.set_flow_run_state(next_one, Pending())
    assert client.read_flow_run(next_one).state.name == "Cancelled", "while the other one may still live"

    assert "No sign of life" in wait_for(client, lost, ["Crashed"]).message
    next_one = start(client)
    client.set_flow_run_state(next_one, Pending())
    assert client.read_flow_run(next_one).state.name == "Pending"


def serve(project):
    arguments = ["serve", "ratings.parquet", "--set", "gate.baseline=none", "--set", "train.epochs=2"]
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=project.folder, env=project.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def hurry_when_there(client):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if client.read_automations_by_name("recobatch lost runs") and client.read_deployments():
            hurry(client)
            return
        time.sleep(0.5)
    pytest.fail("nothing is served")


if FULL_SWEEP:  # `make faults`: minutes

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    @pytest.mark.parametrize("everything", [False, True], ids=["the run", "everything"])
    def test_kill_9_does_not_keep_the_next_scheduled_run_from_starting(client, tmp_path, everything):
        project = Project(tmp_path, PREFECT_API_URL=str(client.api_url).rstrip("/"))
        served = serve(project)
        hurry_when_there(client)
        lost = start(client)
        wait_for(client, lost, ["Running"])
        if everything:
            os.killpg(served.pid, signal.SIGKILL)
        else:
            for child in Path(f"/proc/{served.pid}/task/{served.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
        wait_for(client, lost, ["Crashed"])
        if everything:
            served.wait()
            served = serve(project)
        try:
            assert wait_for(client, start(client), ["Completed", "Cancelled", "Failed"]).name == "Completed"
        finally:
            served.terminate()
            served.wait()
        assert project.table.verify().ok
        assert project.litter() == []
