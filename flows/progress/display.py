"""Progress in a terminal while the job runs; silent everywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

OnProgress = Callable[[float, str], None]
"""Called with the finished part, within [0, 1], and a note that may be empty."""


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
    def stage(
        self, name: str, total: float | None = None, on_progress: OnProgress | None = None
    ) -> Iterator["StageProgress"]:
        """Show the progress of a stage; its bar pulses while ``total`` is None."""
        task = self._progress.add_task(name, total=total, note="") if self._progress else None
        progress = StageProgress(self._progress, task, total, on_progress)
        progress.update()
        yield progress
        progress.finish()


@dataclass
class StageProgress:
    """Progress of a stage, shown in the terminal's display and passed to a callback, as far as there are any."""

    _progress: Progress | None
    _task: TaskID | None
    total: float | None = None
    _on_progress: OnProgress | None = None
    done: float = 0.0
    _last: float = 0.0

    def update(self, *, done: float | None = None, total: float | None = None, note: str | None = None) -> None:
        """Set how much is done, in units of ``total``."""
        self.done = self.done if done is None else done
        self.total = total or self.total
        if self._progress is not None and self._task is not None:
            fields: dict[str, Any] = {} if note is None else {"note": note}
            self._progress.update(self._task, completed=done, total=total, **fields)
        if self._on_progress is not None and self.total:
            self._on_progress(self.done / self.total, note or "")

    def advance(self, by: float, note: str | None = None) -> None:
        """Add ``by`` units."""
        self.update(done=self.done + by, note=note)

    def download(self, done: int, total: int | None) -> None:
        """Bytes fetched so far, at most ten updates a second."""
        now = time.monotonic()
        if now - self._last > 0.1 or done == total:
            self._last = now
            self.update(done=done, total=total, note=f"{done / 1e6:.1f} MB")

    def finish(self) -> None:
        """Complete the bar; training may stop before its total."""
        total = self.total or self.done or 1
        self.update(done=total, total=total)


_current: ContextVar[Display | None] = ContextVar("display", default=None)


def current_display() -> Display:
    """The display of the running job, or a silent one."""
    return _current.get() or Display(enabled=False)
