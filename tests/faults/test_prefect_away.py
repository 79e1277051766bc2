"""Prefect's server dies in mid-run: the run publishes all the same, says what happened, and ends without waiting."""

import http.server
import threading
from urllib.parse import urlsplit

import pytest

from flows.server.local import LocalServer
from flows.server.outage import answers, require_server
from recobatch.errors import RecobatchError
from tests.support.databases import prefect_home
from tests.support.faults.disk import FULL_SWEEP
from tests.support.faults.whole_run import STAGES, Project, kill, wait_for_end


def check_that_it_publishes(project, run):
    assert run.end() == 0, run.lines
    assert project.table.current().version == run.summary["table"]["version"]
    assert project.table.verify().ok
    told = "\n".join(run.lines)
    assert told.count("is unreachable; the run continues without it") == 1
    assert told.count("the Prefect server did not store its final state") == 1
    assert "Traceback" not in told
    assert run.last_words == []


@pytest.mark.long
@pytest.mark.timeout(1200 if FULL_SWEEP else 200)
def test_the_run_s_own_server_dies(tmp_path, prefect_api):
    project = Project(tmp_path)
    for stage in STAGES if FULL_SWEEP else ["train"]:
        run = project.start("--fresh")
        run.read_until(stage)
        (server,) = run.children()
        kill(server)
        check_that_it_publishes(project, run)
        assert wait_for_end([server]) == []
    again = project.start(PREFECT_API_URL=prefect_api)
    assert again.end() == 0, again.lines
    assert again.summary["unchanged"], "the batch was whole"
    assert project.litter() == []


def test_nobody_at_the_address_of_the_server(free_address):
    assert not answers(free_address)
    with pytest.raises(RecobatchError, match=r"^http://127\S+/api: found no answer .*start that server, or unset PREF"):
        require_server(free_address)


def test_a_server_that_is_just_restarting_is_waited_for(free_address):
    port = urlsplit(free_address).port

    def come_up():
        with http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler) as server:
            server.handle_request()

    late = threading.Timer(0.5, come_up)
    late.start()
    require_server(free_address)
    late.join()


def test_a_server_that_refuses_is_there(prefect_api):
    assert answers(prefect_api)
    assert answers(f"{prefect_api}/no/such/page")


if FULL_SWEEP:  # `make faults`: minutes

    @pytest.mark.slow
    @pytest.mark.timeout(1200)
    def test_a_server_that_is_shared_dies_and_comes_back(tmp_path, monkeypatch):
        monkeypatch.setenv("PREFECT_HOME", str(prefect_home(tmp_path / "prefect")))
        project = Project(tmp_path)
        for stage in STAGES:
            server = LocalServer(with_scheduler=True).wait_until_ready()
            run = project.start("--fresh", PREFECT_API_URL=server.api_url)
            run.read_until(stage)
            kill(server._process.pid)
            check_that_it_publishes(project, run)
            server.stop()
