"""``recobatch run`` as a process of its own, in a folder of its own, struck where its log says that it has come to."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from recobatch.sources.synthetic import write_synthetic
from recobatch.table import open_table
from tests.support.databases import mlflow_database, prefect_home
from tests.support.faults.disk import FULL_SWEEP
from tests.support.fork_server import ForkedRun

COMMAND = [sys.executable, "-c", "from flows.cli.commands import main; main()"]
MODELS = ["models=explicit_mf,explicit_mf_bias"] if FULL_SWEEP else ["models=explicit_mf_bias", "interest.method=none"]
"""What is struck is the run around the training: one model, and without interest, but for `make faults`."""
SMALL = [
    f"--set={each}"
    for each in ("gate.baseline=none", "gate.ranking=none", "champion.validation_fraction=0", "train.epochs=1", *MODELS)
]
STAGES = {
    "ingest": "fetch:", "train": "split:", "score": "compare:", "publish": "score:", "report": "register:",
}  # fmt: skip
"""Stage → the line of the log that it comes after."""


@dataclass
class Run:
    """A run that is under way."""

    process: subprocess.Popen | ForkedRun
    lines: list[str] = field(default_factory=list)

    def read_until(self, stage: str) -> None:
        """Read its log until it is in the given stage."""
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if re.search(rf"- {re.escape(STAGES[stage])} ", line):
                return
        raise AssertionError(self.lines)

    def children(self) -> list[int]:
        """Its server, if it started one of its own."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]

    def end(self) -> int:
        """Wait for its end; the exit code."""
        out, err = self.process.communicate(timeout=200)
        self.lines += err.splitlines()
        self.out = out
        return self.process.returncode

    @property
    def last_words(self) -> list[str]:
        return [line.removeprefix("recobatch: ") for line in self.lines if line.startswith("recobatch: ")]

    @property
    def summary(self) -> dict:
        return json.loads(self.out.splitlines()[-1])


class Project:
    """A folder with small ratings, and the databases of an earlier run unless it is empty."""

    def __init__(self, folder: Path, *, empty: bool = False, **environment: str) -> None:
        self.folder = folder
        self.table = open_table(folder / "predictions")
        self.environment = {**os.environ, "PREFECT_HOME": str(folder / ".prefect"), **environment}
        if not empty:
            prefect_home(folder / ".prefect")
            mlflow_database(folder / "mlflow.db")
        write_synthetic(folder / "ratings.parquet", n_users=300, n_items=100, n_ratings=6000, seed=1)

    def start(self, *more: str, cold: bool = False, **environment: str) -> Run:
        """Start a run.

        Args:
            more: Arguments.
            cold: Whether to start a new interpreter, which takes eight seconds more of a core.
            environment: Its own variables.
        """
        arguments = ["run", "ratings.parquet", *SMALL, "--json", *more]
        if cold:
            process = subprocess.Popen(
                [*COMMAND, *arguments], cwd=self.folder, env=self.environment | environment,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        else:
            process = ForkedRun(arguments, cwd=self.folder, env=self.environment | environment)
        return Run(process)

    def litter(self) -> list[str]:
        """What a run leaves that no run should."""
        work, spool = self.folder / ".recobatch" / "work", self.folder / ".recobatch" / "spool"
        found = list(self.folder.glob("predictions/.stag*"))
        found += [path for path in work.iterdir() if path.name.startswith(".")] if work.exists() else []
        found += spool.iterdir() if spool.exists() else []
        found += self.folder.rglob(".tmp-*")
        return [str(path.relative_to(self.folder)) for path in found]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_end(pids: list[int]) -> list[int]:
    """Processes that are still there after a while."""
    deadline = time.monotonic() + 20
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [pid for pid in pids if is_alive(pid)]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
