"""The journal's file of a study: how Optuna's lines reach the disk, and what a killed process left of them."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recobatch.storage.durable import explained

_TRIAL_ENDS = 6
"""Optuna's code of a line that sets a trial's state."""


def append(journal: Path, logs: Sequence[Mapping[str, Any]]) -> None:
    """Append lines, of which only the end of a trial waits for the disk.

    A killed process loses nothing of what it wrote; a power cut may take the epochs of trials that were running.

    Args:
        journal: The file.
        logs: JSON values as Optuna makes them, one for each line.
    """
    lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
    with journal.open("ab") as file:
        file.write(lines.encode())
        file.flush()
        if any(log.get("op_code") == _TRIAL_ENDS for log in logs):
            os.fsync(file.fileno())


def drop_torn_line(journal: Path) -> None:
    """Cut off a last line without an end, which a killed process left; Optuna would join the next one to it.

    Raises:
        RecobatchError: If the disk refuses.
    """
    if journal.exists():
        with explained("repair the journal", journal, outcome="nothing was searched"), journal.open("r+b") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)


def clear(folder: Path) -> None:
    """Remove everything in the folder of a study.

    Raises:
        RecobatchError: If the disk refuses.
    """
    with explained("remove the study", folder, outcome="nothing was searched"):
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


class NoLock:
    """Optuna's own lock of the journal is a file that a killed process leaves behind; the folder is locked instead."""

    def acquire(self) -> bool:
        """At once."""
        return True

    def release(self) -> None:
        """Nothing was acquired."""
