"""Who may use a Prefect server of our own, and who may read what it keeps."""

import asyncio
import errno
import json
import os
import stat
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest
import websockets

from flows.server.access import AUTH_STRING, auth_string, prepare_home, server_environment
from flows.server.environment import prepare_environment
from flows.server.local import prefect_server
from recobatch.errors import BadSettings, RecobatchError
from tests.support import prefect_api as of_tests

FOREIGN = "http://evil.example"


@pytest.fixture
def no_password(monkeypatch):
    """An environment that names none, as a user's own."""
    monkeypatch.delenv("PREFECT_API_AUTH_STRING")


def ask(url, method="GET", **headers):
    """Status and headers of an answer."""
    request = urllib.request.Request(url, b"{}" if method == "POST" else None, {"Content-Type": "application/json"})
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    request.method = method
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def status(url, method="GET", **headers):
    return ask(url, method, **headers)[0]


@pytest.mark.parametrize("path", ["flow_runs/filter", "deployments/filter", "block_documents/filter", "logs/filter"])
def test_a_client_without_the_password_gets_nothing(prefect_api, path):
    assert status(f"{prefect_api}/{path}", "POST") == 401
    assert status(f"{prefect_api}/{path}", "POST", **of_tests.authorization("tests:guessed")) == 401
    assert status(f"{prefect_api}/{path}", "POST", **of_tests.authorization()) == 200


@pytest.mark.parametrize("path", ["events/in", "events/out", "logs/out"])
@pytest.mark.parametrize(("token", "is_let_in"), [("tests:guessed", False), (of_tests.AUTH_STRING, True)])
def test_no_stream_is_open_without_it_either(prefect_api, path, token, is_let_in):
    async def greet():
        address = f"{prefect_api.replace('http', 'ws')}/{path}"
        async with websockets.connect(address, subprotocols=["prefect"]) as socket:
            await socket.send(json.dumps({"type": "auth", "token": token}))
            return json.loads(await socket.recv())["type"]

    if is_let_in:
        assert asyncio.run(greet()) == "auth_success"
    else:
        with pytest.raises(websockets.ConnectionClosed):
            asyncio.run(greet())


@pytest.mark.parametrize(("host", "code"), [("evil.example", 400), ("evil.example:4200", 400), ("localhost:4200", 200)])
def test_a_name_that_only_resolves_to_this_machine_is_refused(prefect_api, host, code):
    assert status(f"{prefect_api}/health", Host=host) == code
    assert status(f"{prefect_api}/flow_runs/filter", "POST", Host=host, **of_tests.authorization()) == code


def test_another_page_may_not_read_the_answers(prefect_api):
    own = prefect_api.removesuffix("/api")
    for page, allowed in {FOREIGN: None, own: own, (alias := own.replace("127.0.0.1", "localhost")): alias}.items():
        _, headers = ask(f"{prefect_api}/health", Origin=page)
        assert headers["Access-Control-Allow-Origin"] == allowed
    preflight = {"Origin": FOREIGN, "Access-Control-Request-Method": "POST"}
    assert status(f"{prefect_api}/flow_runs/filter", "OPTIONS", **preflight) == 400


def test_a_setting_of_the_users_own_may_open_it_to_other_pages(monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_CORS_ALLOWED_ORIGINS", "http://portal")
    assert server_environment(1, "a:b")["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://portal"


def test_the_password_is_kept_for_its_owner_alone(no_password, tmp_path):
    home = tmp_path / "project" / ".prefect"
    prepare_home(home)
    with ThreadPoolExecutor() as pool:
        [made] = set(pool.map(auth_string, [home] * 8))
    assert made.startswith("recobatch:")
    assert len(made) > 40
    assert auth_string(home) == made
    assert auth_string() != auth_string()
    assert stat.S_IMODE((home / AUTH_STRING).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"])
def test_a_password_of_the_users_own_is_used(no_password, monkeypatch, tmp_path, name):
    monkeypatch.setenv(name, "ann:own")
    assert auth_string(tmp_path) == "ann:own"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_keep_it_is_named(no_password, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecobatchError, match=r"file/auth-string: found that the disk refused to keep the password"):
        auth_string(tmp_path / "file")


def test_a_home_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(RecobatchError, match=r"file/below: found that the disk refused to write the files of the P"):
        prepare_home(tmp_path / "file" / "below")
    monkeypatch.setattr("tempfile.TemporaryFile", Mock(side_effect=OSError(errno.EROFS, "")))  # root may write anywhere
    with pytest.raises(RecobatchError, match=r"\(Read-only file system\), expected .*mount it writable"):
        prepare_home(tmp_path)


@pytest.mark.long
@pytest.mark.server
def test_nobody_else_may_read_what_the_server_of_a_run_keeps(no_password, monkeypatch, tmp_path):
    home = tmp_path / ".prefect"
    monkeypatch.setenv("PREFECT_HOME", str(home))
    with prefect_server() as server:
        server.wait_until_ready()
        assert status(f"{server.api_url}/flow_runs/filter", "POST") == 401
        known = of_tests.authorization(os.environ["PREFECT_API_AUTH_STRING"])
        assert status(f"{server.api_url}/flow_runs/filter", "POST", **known) == 200
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [home, *home.glob("prefect.db*")]}
    assert "PREFECT_API_AUTH_STRING" not in os.environ
    assert "prefect.db" in modes
    assert {mode & 0o077 for mode in modes.values()} == {0}


@pytest.mark.parametrize(
    ("api_url", "password", "shown"),
    [
        ("http://ann:hu%2Fsh@host:1/api", "ann:hu/sh", "http://host:1/api"),
        ("https://token@host/api", "token", "https://host/api"),
        ("http://host/api", None, "http://host/api"),
    ],
)
def test_a_password_in_the_servers_address_is_kept_apart(monkeypatch, tmp_path, api_url, password, shown):
    monkeypatch.setenv("PREFECT_API_URL", api_url)
    monkeypatch.delenv("PREFECT_API_AUTH_STRING")
    prepare_environment(tmp_path)
    with prefect_server() as server:
        assert server is None
    assert (os.environ["PREFECT_API_URL"], os.environ.pop("PREFECT_API_AUTH_STRING", None)) == (shown, password)


def test_a_user_without_a_home_is_told_to_set_one(monkeypatch, tmp_path):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", Mock(side_effect=KeyError))  # as in a container with a user of no name
    with pytest.raises(BadSettings, match=r"^HOME: found neither .*set HOME to a folder"):
        prepare_environment(tmp_path)


def test_a_folder_whose_database_could_not_be_addressed_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "why?"))
    with pytest.raises(BadSettings, match=r"why\?: found a question mark .*set PREFECT_HOME"):
        prepare_environment(tmp_path)
