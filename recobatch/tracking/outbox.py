"""The outbox of tracked runs: a record is on disk before it is sent, and is deleted when its whole run has arrived.

    <root>/.recobatch/spool/<milliseconds>-<model>-<random>/    locked by the process that writes it
        events.jsonl   one record a line; `{"ack": n, …}` lines state that the first n records arrived
        files/<n>/     hard links to the artifacts (copies where the file system has no links)

An unreachable server therefore costs only a later delivery, and the next process sends what a killed one left. A
journal with damage in its midst is renamed ``quarantined-…``, and left for a person.
"""

import json
import logging
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, Self

from recobatch.storage.durable import link_or_copy
from recobatch.storage.folder_lock import FolderLock, try_lock

log = logging.getLogger("recobatch.tracking")

OUTBOX = Path(".recobatch", "spool")
"""Folder of all journals, relative to the project root."""
_JOURNALS = "[0-9]*-*-*"

Kind = Literal[
    "start", "resume", "params", "dataset", "metrics", "tags", "artifact", "model", "register", "alias", "finish"
]


@dataclass(frozen=True)
class Record:
    """One thing that happened to a run."""

    kind: Kind
    body: dict[str, Any]
    """JSON-able; files are named relative to the journal's folder."""
    at_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    """When it happened, Unix milliseconds: a record that is delivered late keeps its time."""


@dataclass(frozen=True)
class RunState:
    """What the server has answered so far about one run."""

    run_id: str | None = None
    model_id: str | None = None
    version: int | None = None
    """Version in the registry."""
    finished: bool = False


def has_records(root: Path) -> bool:
    """Whether runs of the project folder may have left records on disk."""
    return any((root / OUTBOX).glob(_JOURNALS))


class Journal:
    """One run's records on disk, open in this process alone."""

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        self.folder = folder
        self.name = folder.name
        self.state = RunState()
        self._lock = lock
        self._guard = threading.Lock()  # one thread appends records, another acknowledges them
        self._records: list[Record] = []
        self._acknowledged = 0
        self._is_writable = True
        self._damaged_line = 0
        self._file = (folder / "events.jsonl").open("a+b")
        self._replay()
        self.may_be_started = bool(self._records)
        """Whether the run may exist on the server although its answer was not recorded."""

    @classmethod
    def create(cls, outbox: Path, label: str, state: RunState = RunState()) -> Self:
        """Begin a journal of a run called ``label``.

        Args:
            outbox: Folder of all journals.
            label: Part of the journal's name.
            state: What is known of the run, if it exists already.
        """
        label = re.sub(r"[^\w.]", "_", label)
        folder = outbox / f"{time.time_ns() // 1_000_000}-{label}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700, parents=True)  # records hold the settings
        lock = try_lock(folder)
        if lock is None:  # another process that delivers left-overs looked at the folder in this very moment
            return cls.create(outbox, label, state)
        journal = cls(folder, lock)
        if state != RunState():
            journal.acknowledge(0, **asdict(state))
        return journal

    @classmethod
    def reopen(cls, folder: Path) -> Self | None:
        """Open a closed journal; None if it was delivered meanwhile, another process has it open, or it is damaged."""
        lock = try_lock(folder)
        journal = None if lock is None else cls(folder, lock)
        if journal is not None and journal._damaged_line:
            journal._quarantine()
            return None
        return journal

    @classmethod
    def left_over(cls, outbox: Path) -> Iterator[Self]:
        """The journals of processes that have ended, oldest first; each is locked during its turn.

        One without records is deleted: this process looked at it before the one that made it had locked it, and that
        one has made another; or it was killed in that very moment.
        """
        for folder in sorted(outbox.glob(_JOURNALS)):
            journal = cls.reopen(folder)
            if journal is None:
                continue
            if not journal._records:
                journal.remove()
                continue
            yield journal
            journal.close()

    def append(self, record: Record) -> None:
        with self._guard:
            self._write(asdict(record))
            self._records.append(record)

    def acknowledge(self, count: int, **answers: Any) -> None:  # noqa: ANN401 - fields of RunState
        """Note that ``count`` more records arrived, and what the server answered: fields of ``RunState``."""
        with self._guard:
            self._acknowledged += count
            self.state = replace(self.state, **answers)
            self._write({"ack": self._acknowledged, "state": asdict(self.state)})

    def pending(self) -> list[Record]:
        """Records that have not arrived yet, in order."""
        with self._guard:
            return self._records[self._acknowledged :]

    def next_batch(self) -> list[Record]:
        """The records to send next: one, or neighbouring metrics, which share a call."""
        pending = self.pending()
        return list(takewhile(lambda record: record.kind == "metrics", pending)) or pending[:1]

    @property
    def is_closed(self) -> bool:
        return self._lock.closed

    @property
    def age_days(self) -> float:
        """Days since the journal was begun."""
        return (time.time() - int(self.name.partition("-")[0]) / 1000) / 86_400

    @property
    def is_killed(self) -> bool:
        """Whether records end without an end of the run: its process was killed."""
        return bool(self._records) and not (
            self.state.finished or any(record.kind == "finish" for record in self._records)
        )

    def keep(self, path: Path, name: str | None = None) -> str:
        """Keep a file until it has been delivered; returns its path relative to the folder."""
        target = self.new_folder() / (name or path.name)
        link_or_copy(path, target)
        return str(target.relative_to(self.folder))

    def new_folder(self) -> Path:
        """An empty folder inside the journal's own."""
        folder = self.folder / "files" / secrets.token_hex(4)
        folder.mkdir(parents=True)
        return folder

    def remove(self) -> None:
        """Delete the journal, after all of it has arrived."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Unlock the journal; the next process delivers what has not arrived."""
        with suppress(OSError):  # a full disk, logged when the record was written
            self._file.close()
        self._lock.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        """Write a line; where the disk refuses it, the record is kept in memory for as long as the process lives."""
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            if self._is_writable:
                log.warning("%s: the journal cannot be written (%s); records are sent unrecorded", self.folder, error)
            self._is_writable = False

    def _replay(self) -> None:
        """Read what an earlier process wrote; a last line cut off by its end is dropped, so that the next is whole."""
        self._file.seek(0)
        lines, intact = self._file.readlines(), 0
        for number, line in enumerate(lines, 1):
            try:
                self._read(line)
            except (ValueError, TypeError, KeyError):
                if number < len(lines):  # a kill damages the last line alone
                    self._damaged_line = number
                    return
                break
            intact += len(line)
        self._file.truncate(intact)

    def _quarantine(self) -> None:
        """Rename the folder, so that no later run reads it again."""
        kept = self.folder.rename(self.folder.with_name(f"quarantined-{self.name}"))
        log.warning(
            "%s: found a record that cannot be read (line %d), expected JSON; the rest of the run is not sent to "
            "MLflow; look at %s, then delete it", self.folder, self._damaged_line, kept,
        )  # fmt: skip
        self.close()

    def _read(self, line: bytes) -> None:
        read = json.loads(line if line.endswith(b"\n") else b"")
        if "ack" in read:
            self._acknowledged, self.state = read["ack"], RunState(**read["state"])
        else:
            self._records.append(Record(**read))
