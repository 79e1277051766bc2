"""Consumers that never stop reading."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import REPO


@contextmanager
def reading(root: Path, *, pause: float = 0.1) -> Iterator[Callable[[], dict[str, dict]]]:
    """pandas, Polars and DuckDB reading all the time; calling what is yielded ends them and gives what they saw.

    Between two reads they pause for so many seconds, so that they leave the cores to the writer.
    """
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-m", "tests.support.faults.reader", name, str(root), str(pause)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPO,
        )
        for name in ("pandas", "polars", "duckdb")
    }  # fmt: skip

    def end() -> dict[str, dict]:
        return {name: json.loads(process.communicate("stop\n")[0]) for name, process in processes.items()}

    try:
        for process in processes.values():
            assert process.stdout.readline() == "ready\n"
        yield end
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
