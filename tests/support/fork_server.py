"""Whole runs as processes of their own, forked from one that has imported TensorFlow, Prefect and MLflow already.

A cold start of ``recobatch run`` spends eight seconds of a core on imports; a fork of a process that has done them
spends none. Some tests start cold all the same (``whole_run.COMMAND``): what a user starts is a new interpreter.

The server is ``python -m tests.support.fork_server SOCKET``. A request is a JSON object (arguments, folder,
environment) with the descriptors of stdout and stderr; the answer is the process id, and later the exit status.
"""

import array
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

from tests.support.blank_figures import save_blank
from tests.support.fork_client import submit
from tests.support.paths import REPO

_LONGEST = 1 << 20
"""Bytes of a request."""


class ForkedRun:
    """What a test needs of ``subprocess.Popen``, for a forked run of the command line."""

    def __init__(self, arguments: list[str], *, cwd: Path, env: dict[str, str]) -> None:
        (self.stdout, out), (self.stderr, err) = _pipe(), _pipe()
        self._server = submit(server_address(), arguments, cwd=str(cwd), env=env, fds=(out, err))
        os.close(out)
        os.close(err)
        self._answers = self._server.makefile()
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None
        self._ended = threading.Thread(target=self._wait, daemon=True)
        self._ended.start()

    def _wait(self) -> None:
        self.returncode = int(self._answers.readline())
        self._server.close()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._ended.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("recobatch", timeout)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end and read both outputs; after a ``TimeoutExpired`` it may be called again."""
        if not hasattr(self, "_read"):
            self._read = {name: _Reader(getattr(self, name)) for name in ("stdout", "stderr")}
        self.wait(timeout)
        return self._read["stdout"].text(), self._read["stderr"].text()

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Reader(threading.Thread):
    def __init__(self, file) -> None:
        super().__init__(daemon=True)
        self._file, self._text = file, ""
        self.start()

    def run(self) -> None:
        self._text = self._file.read()

    def text(self) -> str:
        self.join(60)
        return self._text


def forked_command(folder: Path) -> Path:
    """Write a ``recobatch`` for shells into a folder, whose runs are forked too."""
    client = Path(__file__).with_name("fork_client.py")
    command = folder / "recobatch"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {client} {server_address()} "$@"\n')
    command.chmod(0o755)
    return command


def _pipe():
    read, write = os.pipe()
    return os.fdopen(read), write


@cache
def server_address() -> str:
    """Start this test process' server, which ends with it."""
    folder = tempfile.mkdtemp(prefix="recobatch-fork-")
    address = f"{folder}/socket"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.fork_server", address],
        cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip

    def end() -> None:
        process.terminate()
        process.wait()
        Path(address).unlink(missing_ok=True)
        Path(folder).rmdir()

    atexit.register(end)
    if process.stdout.readline() != "ready\n":
        raise RuntimeError("the fork server did not start; run python -m tests.support.fork_server to see why")
    return address


def _preload() -> None:
    from flows.server.environment import prepare_environment

    os.environ.pop("PREFECT_API_URL", None)
    prepare_environment(Path.cwd())
    for module in (
        "mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store",
        "prefect.flow_engine", "prefect.task_engine", "pyarrow.dataset", "recobatch.training.engine", "flows.batch",
        "flows.score", "flows.cli.launch", "recobatch.report.page",
    ):  # fmt: skip
        import_module(module)
    import_module("recobatch.report.template").load_template("report.html.j2")
    import_module("recobatch.models.diagram").graphviz()  # compiles Graphviz, a second of a core
    figure = import_module("matplotlib.figure")
    figure.Figure.savefig = save_blank  # the cold starts draw theirs


def _serve(address: str) -> dict | None:
    """Fork a keeper for each request, which forks the run and waits for it; returns in the run."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a keeper ended
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)  # noqa: T201 - the test process waits for it
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                return _keep(connection)
            connection.close()


def _keep(connection: socket.socket) -> dict | None:
    message, ancillary, _, _ = connection.recvmsg(_LONGEST, socket.CMSG_SPACE(8))
    (_, _, data) = ancillary[0]
    fds = array.array("i", data)
    if (child := os.fork()) == 0:
        connection.close()
        for ours, given in zip((1, 2), fds, strict=True):
            os.dup2(given, ours)
            os.close(given)
        return json.loads(message)
    for fd in fds:
        os.close(fd)
    with suppress(OSError):
        connection.send(f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    with suppress(OSError):  # a test that does not wait has closed its end
        connection.send(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _run(request: dict) -> None:
    """Be ``recobatch`` with these arguments, in that folder and environment."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["recobatch", *request["arguments"]]
    # Those of the server know whether its own outputs could seek, and these may be pipes.
    sys.stdout, sys.stderr = (open(fd, "w", buffering=1, closefd=False) for fd in (1, 2))  # noqa: SIM115
    from flows.cli import commands, launch

    import_flow = launch._import_flow

    def refreshed(*arguments, **options):
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()  # Prefect read the environment of the server when it was imported
        return import_flow(*arguments, **options)

    launch._import_flow = refreshed
    commands.main()


if __name__ == "__main__":
    _preload()
    wanted = _serve(sys.argv[1])
    if wanted is not None:
        _run(wanted)  # outside of every frame of the server: the interpreter ends as after any run
