"""A Prefect server of our own for one run, started while the heavy libraries import.

Prefect would start one itself at the first flow call, after everything else; started first, its four seconds (eleven
on a fresh PREFECT_HOME) pass while this process imports TensorFlow. Where PREFECT_API_URL is set, that server is used.
"""

import ctypes
import gc
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from flows.server.access import AUTH_STRING, auth_string, prepare_home, server_environment
from flows.server.first_start import wait_for_tables
from recobatch.errors import RecobatchError

_STARTUP_SECONDS = 120.0
_FOR_ONE_RUN = {
    "PREFECT__SERVER_EPHEMERAL": "1",
    # Registering the types of blocks imports every collection, Dask's with it; a run only reads blocks that are there.
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
}
"""Variables of a server that ends with its run: what it leaves out is a sixth of its start."""
_ASKED_BY_RUNS = {"/admin", "/csrf-token", "/flows", "/flow_runs", "/artifacts", "/logs", "/events"}
"""Prefixes of the routes that a run of the command line uses."""


class LocalServer:
    """A Prefect API on a free loopback port, behind a password, in a child process that ends with this one."""

    def __init__(self, *, with_scheduler: bool = False) -> None:
        """Start it.

        Args:
            with_scheduler: Whether it plans scheduled runs and serves the UI, as it must for more than one run.
                The password is kept in Prefect's home then.

        Raises:
            RecobatchError: If Prefect's home cannot be written.
        """
        prepare_home(_home())
        self._auth_string = auth_string(kept_in=_home() if with_scheduler else None)
        self._environment = {} if with_scheduler else _FOR_ONE_RUN
        self._preferred_port = 4200 if with_scheduler else 0
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads would block the server
        self._start()

    def _start(self) -> None:
        listener = _listen(self._preferred_port)
        self._port = int(listener.getsockname()[1])
        self.api_url = f"http://127.0.0.1:{self._port}/api"
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(listener.fileno()), str(os.getpid())],
            pass_fds=[listener.fileno()],
            env={**server_environment(self._port, self._auth_string), **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            # Ctrl-C reaches the whole terminal group; the server must outlive the flow's last log lines.
            start_new_session=True,
        )
        listener.close()

    @property
    def client_environment(self) -> dict[str, str]:
        """Variables by which a process finds the server and may use it."""
        return {"PREFECT_API_URL": self.api_url, "PREFECT_API_AUTH_STRING": self._auth_string}

    @property
    def where_password(self) -> str:
        """Where a person finds the password, which is not printed: output is kept and read by others."""
        path = _home() / AUTH_STRING
        is_kept = path.exists() and path.read_text(encoding="utf-8").strip() == self._auth_string
        return f"the whole line in {path}" if is_kept else "the one that this process was given in its environment"

    def wait_until_ready(self) -> Self:
        """Block until the API answers.

        Raises:
            RecobatchError: If the server ends or does not answer within two minutes.
        """
        deadline = time.monotonic() + _STARTUP_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RecobatchError(
                    f"found the Prefect server ended with code {self._process.returncode} ({self._last_error()}), "
                    f"expected it to answer at {self.api_url}; set PREFECT_API_URL to a server that runs, or remove "
                    f"{os.environ.get('PREFECT_HOME')} if its database is damaged"
                )
            if self._answers():
                return self
            time.sleep(0.05)
        self.stop()
        raise RecobatchError(
            f"found no answer from the Prefect server at {self.api_url} within {_STARTUP_SECONDS:.0f} s, expected one; "
            f"set PREFECT_API_URL to a server that runs"
        )

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/api/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _last_error(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no message")

    def stop(self) -> None:
        """End the server; harmless when it has ended already."""
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


def _listen(preferred: int) -> socket.socket:
    """Listen at a loopback port, the preferred one if it is free; 0 prefers none.

    The server inherits the socket: looking for a free port and leaving it for the server to take would let another one
    take it in between, whose answers would then pass for those of ours.
    """
    try:
        return socket.create_server(("127.0.0.1", preferred))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))


@contextmanager
def prefect_server(*, with_scheduler: bool = False) -> Iterator[LocalServer | None]:
    """Start a local server and point this process at it; None where PREFECT_API_URL names one already.

    To be entered before Prefect is imported: its client reads the address at import.
    """
    if os.environ.get("PREFECT_API_URL"):
        yield None
        return
    server = LocalServer(with_scheduler=with_scheduler)
    given = os.environ.get("PREFECT_API_AUTH_STRING")
    os.environ.update(server.client_environment)
    try:
        yield server
    finally:
        del os.environ["PREFECT_API_URL"], os.environ["PREFECT_API_AUTH_STRING"]
        if given is not None:
            os.environ["PREFECT_API_AUTH_STRING"] = given
        server.stop()


def _home() -> Path:
    return Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()


def _end_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent ends, kill -9 included; Linux only."""
    if not sys.platform.startswith("linux"):
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit("the parent ended before the server started")


def _prepare_what_a_run_asks_for() -> None:
    """Put the routers that a run uses first: FastAPI builds all routes up to the one that a request is for."""
    from prefect.server.api import server

    routers = sorted(server.API_ROUTERS, key=lambda router: router.prefix not in _ASKED_BY_RUNS)
    server.API_ROUTERS = tuple(routers)  # type: ignore[assignment]  # a tuple of 30 types


def _serve(listener: socket.socket) -> None:
    import uvicorn

    os.umask(0o077)  # the database holds the parameters and logs of every run
    _prepare_what_a_run_asks_for()
    started = wait_for_tables(_home())

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                gc.freeze()
                gc.enable()
                started()

    create = "flows.server.access:create_app"
    config = uvicorn.Config(create, factory=True, log_level="error", lifespan="on")
    Server(config).run(sockets=[listener])


if __name__ == "__main__":
    gc.disable()  # what is imported stays: collecting in between costs a fifth of the start
    _end_with_parent(int(sys.argv[2]))
    _serve(socket.socket(fileno=int(sys.argv[1])))
