"""Run inside a mount namespace of its own, with a real tmpfs at ROOT's parent: ``... full|readonly FOLDER``."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from recobatch.errors import RecobatchError
from recobatch.scoring.predictions import ScoreOptions
from recobatch.table import open_table
from tests.support.faults.numbered import check_tidy, check_whole, inputs_of, publish_number, read_number
from tests.support.small_table import make_model, publish, write_inputs


def refused(action) -> str:
    with pytest.raises(RecobatchError) as told:
        action()
    assert told.value.exit_code == 1
    assert "\n" not in str(told.value)
    return str(told.value)


def full(mount: Path, folder: Path) -> None:
    """A shard, the manifest, the best items: whatever comes when the last byte is gone."""
    root, table = mount / "predictions", open_table(mount / "predictions")
    publish_number(root, inputs_of(folder, 1), 1)
    large = write_inputs(folder / "large", make_model(400, 2000))
    words = refused(lambda: publish(table, "v2", large, options=ScoreOptions(rows_per_shard=100_000)))
    assert "No space left on device" in words
    assert "nothing was published; free space there and run again" in words
    assert read_number(root) == 1
    table.clean()
    ballast = mount / "ballast"
    for free_pages in range(12, -1, -1):
        # Leave less and less, so that each part of a small publish is the first that does not fit.
        ballast.write_bytes(b"")
        with suppress(OSError), ballast.open("ab", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        with ballast.open("ab") as file:
            file.truncate(max(0, ballast.stat().st_size - 4096 * free_pages))
        before = read_number(root)
        with suppress(RecobatchError):
            publish_number(root, inputs_of(folder, before + 1), before + 1)
        assert read_number(root) in (before, before + 1)
        check_whole(root)
    ballast.unlink()
    number = read_number(root) + 1
    publish_number(root, inputs_of(folder, number), number)
    check_tidy(root)
    assert read_number(root) == number


def readonly(mount: Path, folder: Path) -> None:
    root, table = mount / "predictions", open_table(mount / "predictions")
    for number in (1, 2):
        publish_number(root, inputs_of(folder, number), number)
    subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
    for action in (lambda: publish_number(root, inputs_of(folder, 3), 3), table.rollback, table.clean):
        words = refused(action)
        assert "Read-only file system" in words
        assert "mount it writable or choose another folder" in words
    assert read_number(root) == 2
    assert check_whole(root) == [1, 2], "reading and verifying need no write"
    words = refused(lambda: publish_number(mount / "other", inputs_of(folder, 3), 3))
    assert "make the table folder (Read-only file system)" in words
    subprocess.run(["mount", "-o", "remount,rw", str(mount)], check=True)
    publish_number(root, inputs_of(folder, 3), 3)
    check_tidy(root)


if __name__ == "__main__":
    {"full": full, "readonly": readonly}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
