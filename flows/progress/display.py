"""What a person at a terminal sees while the job runs; silent everywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

Watch = Callable[[float, str], None]
"""Called with the part that is done, within [0, 1], and a note that may be empty."""


@dataclass
class Display:
    """Progress lines on stderr: a spinner per stage, a bar per model and per scored million."""

    console: Console = field(default_factory=lambda: Console(stderr=True))
    enabled: bool = field(default_factory=lambda: sys.stderr.isatty())
    _progress: Progress | None = None

    @contextmanager
    def live(self) -> Iterator["Display"]:
        """Show the display for as long as the block runs; the display is the current one meanwhile."""
        token = _current.set(self)
        try:
            if not self.enabled:
                yield self
                return
            columns = (
                SpinnerColumn(finished_text="✓"),
                TextColumn("{task.description:<24}"),
                BarColumn(bar_width=28),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}", style="dim"),
            )
            with Progress(*columns, console=self.console) as self._progress:
                yield self
        finally:
            self._progress = None
            _current.reset(token)

    @contextmanager
    def line(self, name: str, total: float | None = None, watch: Watch | None = None) -> Iterator["Line"]:
        """One line of progress; it pulses while ``total`` is None. ``watch`` is told of every step."""
        task = self._progress.add_task(name, total=total, note="") if self._progress else None
        line = Line(self._progress, task, total, watch)
        line.tell("")
        yield line
        line.finish()


@dataclass
class Line:
    """How far a stage is: a line of the display where somebody watches it, and the word to whoever else does."""

    _progress: Progress | None
    _task: TaskID | None
    total: float | None = None
    _watch: Watch | None = None
    done: float = 0.0
    _last: float = 0.0

    def update(self, *, done: float | None = None, total: float | None = None, note: str | None = None) -> None:
        """Say how far the work is."""
        self.done = self.done if done is None else done
        self.total = total or self.total
        if self._progress is not None and self._task is not None:
            fields: dict[str, Any] = {} if note is None else {"note": note}
            self._progress.update(self._task, completed=done, total=total, **fields)
        self.tell(note or "")

    def advance(self, by: float, note: str | None = None) -> None:
        """Say that ``by`` more units are done."""
        self.update(done=self.done + by, note=note)

    def download(self, done: int, total: int | None) -> None:
        """Bytes fetched so far, at most ten updates a second."""
        now = time.monotonic()
        if now - self._last > 0.1 or done == total:
            self._last = now
            self.update(done=done, total=total, note=f"{done / 1e6:.1f} MB")

    def tell(self, note: str) -> None:
        """Tell the watcher which part is done."""
        if self._watch is not None and self.total:
            self._watch(self.done / self.total, note)

    def finish(self) -> None:
        """The work may end before its total, as training does that stops early."""
        total = self.total or self.done or 1
        self.update(done=total, total=total)


_current: ContextVar[Display | None] = ContextVar("display", default=None)


def current_display() -> Display:
    """The display of the running job, or a silent one."""
    return _current.get() or Display(enabled=False)
