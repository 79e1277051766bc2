"""A real server on loopback, such as MLflow's, and a line to it that can be cut."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(command: list[str], url: str, folder: Path, **environment: str) -> Iterator[str]:
    """Run a server with its log in a folder until the block ends; yields its URL once it answers."""
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            env={
                **os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true",
                "DO_NOT_TRACK": "true", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment,
            },
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "server.log").read_text()[-3000:])
            time.sleep(0.1)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


class Line:
    """A port that passes everything on to a server, until it is cut (refuses) or stalled (takes and never answers)."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._mode = "open"
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._listen()

    def cut(self) -> None:
        """As if the server had died: open connections break, new ones are refused."""
        self._mode = "cut"
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._break_all()

    def stall(self) -> None:
        """As if the server hung: connections are taken, and nothing ever comes back."""
        self._mode = "stalled"
        self._break_all()

    def mend(self) -> None:
        """All is well again, at the same address."""
        if self._mode == "cut":
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._listen()
        self._mode = "open"
        self._break_all()

    def close(self) -> None:
        if self._mode != "cut":
            self.cut()

    def _listen(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self._sockets.append(near)
            if self._mode == "stalled":
                continue
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets.append(far)
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()

    def _break_all(self) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._sockets.clear()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
