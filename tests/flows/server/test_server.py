"""The server of a run: it answers, it dies with its run, it says why it could not start."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from flows.server.local import LocalServer, _listen, prefect_server
from recobatch.errors import RecobatchError
from tests.support.databases import prefect_home
from tests.support.listening import family, listening_sockets
from tests.support.prefect_api import post

_RUN = """
import sys, time
from pathlib import Path
from flows.server.environment import prepare_environment
from flows.server.local import LocalServer
prepare_environment(Path(sys.argv[1]))
print(LocalServer()._process.pid, flush=True)
time.sleep(600)
"""

_START = """
import asyncio, os, sys
from pathlib import Path
from flows.server.environment import prepare_environment
from flows.server.local import _ASKED_BY_RUNS, _FOR_ONE_RUN, _prepare_what_a_run_asks_for
prepare_environment(Path(sys.argv[1]))
os.environ |= _FOR_ONE_RUN
from prefect.server.api import server
routers = server.API_ROUTERS
_prepare_what_a_run_asks_for()
assert set(map(id, server.API_ROUTERS)) == set(map(id, routers))
assert {router.prefix for router in server.API_ROUTERS[:len(_ASKED_BY_RUNS)]} == _ASKED_BY_RUNS
app = server.create_app()
async def start():
    async with app.router.lifespan_context(app):
        await asyncio.sleep(1)
        print(*sys.modules.keys() & {"distributed", "prefect_dask", "tensorflow", "mlflow"}, "started", flush=True)
        os._exit(0)
asyncio.run(start())
"""


def test_a_server_that_is_named_is_used(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with prefect_server() as server:
        assert server is None
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:9/api"


def test_the_server_answers_on_loopback_alone(prefect_api):
    assert prefect_api.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(f"{prefect_api}/health", timeout=10) as answer:
        assert answer.read() == b"true"


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_all_that_a_schedule_opens_is_on_loopback(prefect_api, tmp_path):
    command = [sys.executable, "-c", "from flows.cli.commands import main; main()", "serve"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API_")}
    served = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        told = served.stderr.readline()
        assert told.startswith("Prefect server for as long as this runs: http://127.0.0.1:"), told
        port = int(told.rpartition(":")[2])
        where = served.stderr.readline().removeprefix("Its page asks for a password: the whole line in ")
        password = Path(where.strip()).read_text().strip()
        wait_for_deployment(f"http://127.0.0.1:{port}/api", served, password)
        listening = listening_sockets(family(served.pid))
        assert ("127.0.0.1", port) in listening
        assert {address for address, _ in listening} == {"127.0.0.1"}
        served.send_signal(signal.SIGINT)
        _, told = served.communicate(timeout=60)
        # Prefect waits for Ctrl-C from some moment after the deployment is there; before, it is an interrupted command.
        assert (served.returncode, "interrupted" in told) in {(0, False), (130, True)}, told
        assert "Traceback" not in told
    finally:
        served.kill()
        served.communicate()


def wait_for_deployment(api, process, password):
    """Until the schedule is served: all that will listen does so by then."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if post(f"{api}/deployments/count", {}, password):
            return
        time.sleep(0.2)
    pytest.fail(f"nothing is served (exit code {process.poll()})")


def test_the_ui_asks_the_server_that_it_comes_from(prefect_api):
    with urllib.request.urlopen(f"{prefect_api.removesuffix('/api')}/ui-settings", timeout=10) as answer:
        told = json.load(answer)
    assert told["api_url"] == prefect_api
    assert told["auth"] == "BASIC", "by which its page asks for the password"


@pytest.mark.server
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's word to a child is Linux's")
def test_kill_9_takes_the_server_along(tmp_path):
    run = subprocess.Popen([sys.executable, "-c", _RUN, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    server = int(run.stdout.readline())
    time.sleep(0.5)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    deadline = time.monotonic() + 30
    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(server)


@pytest.mark.long
@pytest.mark.server
def test_a_server_that_cannot_start_says_why(tmp_path, monkeypatch):
    (tmp_path / "prefect.db").write_text("not a database " * 100)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    server = LocalServer()
    try:
        with pytest.raises(RecobatchError, match=r"found the Prefect server ended with code \d+ .*set PREFECT_API_URL"):
            server.wait_until_ready()
    finally:
        server.stop()


@pytest.mark.long
@pytest.mark.server
def test_the_server_of_a_run_prepares_only_what_a_run_asks_for(tmp_path):
    prefect_home(tmp_path / ".prefect")
    done = subprocess.run(
        [sys.executable, "-c", _START, str(tmp_path)], capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if name not in {"PREFECT_HOME", "PREFECT_API_URL"}},
    )  # fmt: skip
    assert done.stdout == "started\n", done.stderr


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - a process, not a file
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_port_that_is_taken_is_left_alone():
    with _listen(0) as first, _listen(first.getsockname()[1]) as second:
        assert first.getsockname()[0] == second.getsockname()[0] == "127.0.0.1"
        assert first.getsockname()[1] != second.getsockname()[1]
