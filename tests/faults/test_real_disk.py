"""A real full disk and a real read-only mount."""

import os
import shutil
import subprocess
import sys

import pytest

from recobatch.errors import RecobatchError
from recobatch.table import open_table
from tests.support.faults.numbered import check_whole, inputs_of, publish_number, read_number
from tests.support.paths import REPO


def namespace() -> list[str]:
    """A command prefix that gives a process mounts of its own, which vanish with it."""
    for flags in (["--mount"], ["--user", "--map-root-user", "--mount"]):
        prefix = [shutil.which("unshare") or "unshare", *flags, "--"]
        try:
            if subprocess.run([*prefix, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0:
                return prefix
        except OSError:
            continue
    pytest.skip("this machine lets nobody mount a tmpfs (unshare --mount failed): a full and a read-only disk untested")


@pytest.mark.parametrize("trouble", ["full", "readonly"])
def test_real_disk(tmp_path, trouble):
    prefix, mount, folder = namespace(), tmp_path / "mount", tmp_path / "inputs"
    mount.mkdir()
    folder.mkdir()
    script = 'mount -t tmpfs -o size=256k none "$1" && exec "$2" -m tests.support.faults.real_disk "$3" "$1" "$4"'
    done = subprocess.run(
        [*prefix, "sh", "-c", script, "sh", str(mount), sys.executable, trouble, str(folder)],
        capture_output=True, text=True, cwd=REPO,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list(mount.iterdir())


@pytest.mark.long
def test_a_whole_run_on_a_disk_that_is_full_or_read_only(tmp_path):
    mount = tmp_path / "mount"
    mount.mkdir()
    script = 'mount -t tmpfs -o size=48m none "$1" && exec "$2" -m tests.support.faults.full_disk_run "$1"'
    done = subprocess.run(
        [*namespace(), "sh", "-c", script, "sh", str(mount), sys.executable], capture_output=True, text=True, cwd=REPO
    )
    assert done.returncode == 0, done.stderr
    assert not list(mount.iterdir())


def as_somebody_else(action) -> str:
    """What ``action`` raised in a child that is not root."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:  # pragma: no cover - in the child
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            action()
        except RecobatchError as error:
            os.write(write, f"{error.exit_code} {error}".encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as told:
        return told.read().decode()


def test_no_permission(folder):
    root = folder / "predictions"
    publish_number(root, inputs_of(folder, 1), 1)
    folder.chmod(0o755)
    root.chmod(0o555)
    (root / ".lock").chmod(0o444)
    table = open_table(root)
    try:
        for action in (lambda: table.stage("v2"), table.clean, lambda: table.rollback("v1"), lambda: table.retain(1)):
            told = as_somebody_else(action)
            assert told.startswith("1 ")
            assert "Permission denied" in told
            assert "give this user write permission or choose another folder" in told
        root.chmod(0)
        for action in (table.current, table.verify, lambda: table.stage("v2")):
            told = as_somebody_else(action)
            assert told.startswith("1 ")
            assert "refused to open the table folder (Permission denied)" in told
    finally:
        root.chmod(0o755)
        (root / ".lock").chmod(0o644)
    assert read_number(root) == 1
    assert check_whole(root) == [1]
