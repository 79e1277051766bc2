"""A Dask scheduler and workers as processes that have the package, an empty home, and nothing of the run's machine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_MODULE = {"scheduler": "distributed.cli.dask_scheduler", "worker": "distributed.cli.dask_worker"}
_HIDE = 'mount -t tmpfs none "$0" && '
"""Where this user may: in a namespace of its own the folder is empty."""
_SMALL = 'mount -t tmpfs -o size=1m none "$HOME" && cd "$HOME" && '
"""Its home is a disk of a megabyte."""


class DaskCluster:
    """Stop it by ``stop``; workers are added by ``add_worker`` and die by ``kill``."""

    def __init__(self, hidden: Path, environment: dict[str, str]) -> None:
        """Start the scheduler.

        Args:
            hidden: Project folder of the run, which the workers do not see.
            environment: All variables of the workers beside PATH, HOME and TMPDIR.
        """
        self.root = Path(tempfile.mkdtemp(prefix="recobatch-cluster-"))
        self._hidden, self._environment = hidden, environment
        self.workers: list[subprocess.Popen] = []
        card = self.root / "scheduler.json"
        self._scheduler = self._start("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(card))
        _wait(card.exists, self._scheduler)
        _wait(lambda: card.read_text().endswith("}"), self._scheduler)
        self.address = json.loads(card.read_text())["address"]

    @property
    def alive(self) -> list[int]:
        """Numbers of the workers that have not ended."""
        return [number for number, worker in enumerate(self.workers) if worker.poll() is None]

    def add_worker(self, mount: str = "", **environment: str) -> subprocess.Popen:
        """Start a worker of one thread, as a process of its own without a nanny that would start it again."""
        name = f"worker-{len(self.workers)}"
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", name, "--memory-limit", "1GB")
        worker = self._start("worker", self.address, *options, name=name, mount=mount, **environment)
        self.workers.append(worker)
        return worker

    def add_small_worker(self, **environment: str) -> Path:
        """Start a worker whose disk is a megabyte, where ``may_mount``; returns that disk as we see it."""
        number = len(self.workers)
        worker = self.add_worker(_SMALL, **environment)
        _wait(lambda: "Registered to" in self.log(number), worker)
        return Path(f"/proc/{worker.pid}/root{self.home(number)}")

    def home(self, number: int) -> Path:
        """Home, working folder and folder for temporary files of a worker."""
        return self.root / f"worker-{number}"

    def log(self, number: int) -> str:
        return (self.root / f"worker-{number}.log").read_text()

    def peak_memory(self, number: int) -> int:
        """Most bytes that a living worker had in memory."""
        status = Path(f"/proc/{self.workers[number].pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def stop(self) -> None:
        for process in (*self.workers, self._scheduler):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def _start(
        self, what: str, *arguments: str, name: str = "scheduler", mount: str = "", **environment: str
    ) -> subprocess.Popen:
        home = self.root / name
        home.mkdir()
        command = [sys.executable, "-m", _MODULE[what], *arguments, "--host", "127.0.0.1"]
        if may_mount():
            command = ["unshare", "--mount", "sh", "-c", f'{_HIDE}{mount}exec "$@"', str(self._hidden), *command]
        with (self.root / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=home, stdout=log, stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), **self._environment}
                | environment,
            )  # fmt: skip


def may_mount() -> bool:
    """Whether this user may give a process mounts of its own."""
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode
    )


def _wait(condition, process) -> None:
    while not condition():
        assert process.poll() is None, process.returncode
        time.sleep(0.05)
