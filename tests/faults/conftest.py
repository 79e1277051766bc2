"""Real processes: one that publishes and may be struck at any call, and consumers that never stop reading."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.faults.numbered import inputs_of, publish_number
from tests.support.faults.reading import reading
from tests.support.paths import REPO


class Writer:
    """Runs one publishing process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = folder / "told.json"
        self.pid = folder / "pid"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.faults.writer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPO,
        )

    def publish(self, root: Path | str, number: int, *, at: int = 0, errno: int = 0, keep: int = 3) -> tuple[int, dict]:
        """Exit code (-9 if killed) and what the process told."""
        self.told.unlink(missing_ok=True)
        order = {
            "root": str(root),
            "folder": str(self.folder),
            "number": number,
            "keep": keep,
            "at": at,
            "errno": errno,
        }
        self.process.stdin.write(json.dumps(order | {"told": str(self.told), "pid": str(self.pid)}) + "\n")
        self.process.stdin.flush()
        code = json.loads(self.process.stdout.readline())["code"]
        return code, json.loads(self.told.read_text()) if self.told.exists() else {}


@pytest.fixture
def folder(tmp_path):
    """A folder in memory where there is one: thousands of fsyncs are struck here, none needs to reach a platter."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="recobatch-") as name:
        yield Path(name)


@pytest.fixture
def writer(folder):
    writer = Writer(folder)
    yield writer
    writer.process.communicate()


@pytest.fixture
def three(folder):
    """Versions 1, 2 and 3 are published; 3 is current."""
    root = folder / "predictions"
    for number in (1, 2, 3):
        publish_number(root, inputs_of(folder, number), number)
    return root


@pytest.fixture
def readers(three):
    with reading(three) as end:
        yield end


@pytest.fixture
def free_address():
    """Address of an API where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/api"
