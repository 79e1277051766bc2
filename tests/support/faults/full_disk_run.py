"""Run inside a mount namespace of its own: whole runs in one process on a real tmpfs that is almost full.

``python -m tests.support.faults.full_disk_run MOUNT``. Everything lies on that disk, as it does in a project folder:
ratings, workspace, table, MLflow's database and journals, Prefect's.
"""

import contextlib
import io
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from flows.server.environment import prepare_environment
from flows.server.local import LocalServer
from recobatch.table import open_table
from tests.support.faults.disk import FULL_SWEEP
from tests.support.faults.whole_run import SMALL, Project

KIB = 1024
LEFT = [4 * KIB * 2**power for power in range(12)] if FULL_SWEEP else [4 * KIB, 96 * KIB, 600 * KIB]
"""Bytes that are free when a run begins: first nothing can be written, in the end almost all."""


def run(*arguments: str) -> tuple[int, str]:
    """``recobatch run`` in this process: exit code and stderr."""
    from flows.cli import commands as cli

    sys.argv = ["recobatch", "run", "ratings.parquet", *SMALL, *arguments]
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            cli.main()
    except SystemExit as end:
        return int(end.code or 0), told.getvalue()
    raise AssertionError


def fill(ballast: Path, free: int) -> None:
    """Leave ``free`` bytes."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    os.truncate(ballast, max(0, ballast.stat().st_size - free))


def read_only(mount: Path, table: open_table) -> None:
    """The table's folder is mounted read-only; the rest of the project can be written."""
    before, folder = table.current().version, str(mount / "predictions")
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    try:
        code, told = run("--fresh")
        assert code == 1, told
        (words,) = [line for line in told.splitlines() if line.startswith("recobatch: ")]
        assert folder in words
        assert "Read-only file system" in words
        assert "mount it writable or choose another folder" in words
        assert "Traceback" not in told, told
        assert table.current().version == before
        assert table.verify().ok
    finally:
        subprocess.run(["umount", folder], check=True)


def main() -> None:
    mount = Path(sys.argv[1])
    os.chdir(mount)
    os.environ["PREFECT_HOME"] = str(mount / ".prefect")
    prepare_environment(mount)
    project, table, ballast = Project(mount), open_table(mount / "predictions"), mount / "ballast"
    server = LocalServer().wait_until_ready()
    os.environ["PREFECT_API_URL"] = server.api_url
    try:
        code, told = run()
        assert code == 0, told
        before = table.current().version
        codes = []
        for free in LEFT:
            fill(ballast, free)
            code, told = run("--fresh")
            codes.append(code)
            now = table.current().version
            assert table.verify().ok
            if code == 0:
                assert now != before
            else:
                assert code == 1, told
                assert now == before, (free, told)
                words = [line for line in told.splitlines() if line.startswith("recobatch: ")]
                assert len(words) == 1, told
                assert "nothing was published" in words[0], told
                assert "free space" in words[0], told
                assert str(mount) in words[0], told
                assert "Traceback" not in told, told
            before = now
            ballast.unlink()
        assert codes[0] == 1, "nothing can be written, so nothing can be published"
        read_only(mount, table)
        code, told = run("--force")
        assert code == 0, told
        assert table.verify().ok
        assert project.litter() == []
    finally:
        server.stop()


if __name__ == "__main__":
    main()
