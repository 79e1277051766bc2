"""The journal of one run: every record is on disk before it is sent, and goes when all of it has arrived.

    <root>/.recobatch/spool/<milliseconds>-<model>-<random>/    claimed by the process that writes
        events.jsonl   one record a line; `{"ack": n, …}` lines say that the first n records arrived
        files/<n>/     hard links to the artifacts (copies where links cannot be made)

So a server that is away costs nothing but a later delivery, and a run that was killed is found by the next one.
"""

import json
import logging
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Self

from recobatch.storage.durable import link_or_copy
from recobatch.storage.folder_lock import Claim, claim
from recobatch.tracking.events import Event, EventKind, RunState

log = logging.getLogger("recobatch.tracking")

SPOOL = Path(".recobatch", "spool")
"""Folder of all journals, relative to the project root."""


class RunSpool:
    """One run's journal, open in this process alone."""

    def __init__(self, folder: Path, ours: Claim) -> None:
        self.folder = folder
        self.name = folder.name
        self.state = RunState()
        self._claim = ours
        self._guard = threading.Lock()  # one thread writes records, another their acknowledgements
        self._events: list[Event] = []
        self._delivered = 0
        self._has_told = False
        self._journal = (folder / "events.jsonl").open("a+", encoding="utf-8")
        self._replay()
        self.was_tried = bool(self._events)
        """Whether the run may have been started on the server without the answer being noted."""

    @classmethod
    def create(cls, root: Path, label: str) -> Self:
        """Begin the journal of a new run called ``label``."""
        label = re.sub(r"[^\w.]", "_", label)
        folder = root / SPOOL / f"{time.time_ns() // 1_000_000}-{label}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        ours = claim(folder)
        if ours is None:  # a neighbour that delivers left-overs looked at the folder in this very moment
            return cls.create(root, label)
        return cls(folder, ours)

    @classmethod
    def reopen(cls, folder: Path) -> Self | None:
        """Go on with a journal that was closed; none if it was delivered meanwhile or is being delivered."""
        ours = claim(folder)
        return None if ours is None else cls(folder, ours)

    @classmethod
    def left_over(cls, root: Path) -> Iterator[Self]:
        """Journals whose process is gone, oldest first; each is locked while it is looked at."""
        for folder in sorted((root / SPOOL).glob("[0-9]*-*-*")):
            spool = cls.reopen(folder)
            if spool is not None:
                yield spool
                spool.close()

    def append(self, event: Event) -> None:
        with self._guard:
            self._write(event.to_line())
            self._events.append(event)

    def acknowledge(self, count: int, state: RunState) -> None:
        """Note that ``count`` more records arrived, and what the server answered."""
        with self._guard:
            self._delivered += count
            self.state = state
            self._write(json.dumps({"ack": self._delivered, "state": asdict(state)}))

    def pending(self) -> list[Event]:
        """Records that have not arrived yet, in order."""
        with self._guard:
            return self._events[self._delivered :]

    @property
    def is_closed(self) -> bool:
        return self._claim.closed

    @property
    def age_days(self) -> float:
        """Days since the journal was begun."""
        return (time.time() - int(self.name.partition("-")[0]) / 1000) / 86_400

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever written: its process died while creating it."""
        return not self._events

    @property
    def is_finished(self) -> bool:
        """Whether the run's end was noted; a journal without it belongs to a run that was killed."""
        return self.state.finished or any(event.kind is EventKind.FINISH for event in self._events)

    def keep(self, path: Path, name: str | None = None) -> str:
        """Keep a file until it has been delivered; the answer names it relative to the folder."""
        target = self.new_folder() / (name or path.name)
        link_or_copy(path, target)
        return str(target.relative_to(self.folder))

    def new_folder(self) -> Path:
        """An empty folder inside the journal's own."""
        folder = self.folder / "files" / secrets.token_hex(4)
        folder.mkdir(parents=True)
        return folder

    def remove(self) -> None:
        """Forget the journal: all of it has arrived."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let go of the journal; what has not arrived stays for the next run."""
        with suppress(OSError):  # a full disk: what the journal lacks was told when it was written
            self._journal.close()
        self._claim.close()

    def _write(self, line: str) -> None:
        """Note a line; where the disk refuses it, the record lives on in memory for as long as the process does."""
        try:
            self._journal.write(line + "\n")
            self._journal.flush()
        except OSError as error:
            if not self._has_told:
                log.warning("%s: the journal cannot be written (%s); records are sent unrecorded", self.folder, error)
            self._has_told = True

    def _replay(self) -> None:
        """Read what an earlier process wrote; a line cut off by its end is dropped, so that the next one is whole."""
        self._journal.seek(0)
        text = self._journal.read()
        sound = 0
        for line in text.splitlines(keepends=True):
            try:
                self._recall(line)
            except (ValueError, KeyError, TypeError):
                break
            sound += len(line)
        self._journal.truncate(len(text[:sound].encode()))

    def _recall(self, line: str) -> None:
        if not line.endswith("\n"):
            raise ValueError(line)
        if line.startswith('{"ack"'):
            read = json.loads(line)
            self._delivered, self.state = read["ack"], RunState(**read["state"])
        else:
            self._events.append(Event.from_line(line))
