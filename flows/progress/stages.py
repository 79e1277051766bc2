"""The stages of a batch: their durations, progress, and one log line each."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial

from prefect.logging import get_run_logger

from flows.progress.artifact import ProgressPage
from flows.progress.display import StageProgress, current_display
from flows.progress.startup import STARTED
from recobatch.escaping import printable

_PAGE_SECONDS = 2.0
"""Longest wait for the last progress to arrive at its page."""


class StageLog:
    """Times the stages of a batch, shows their progress and logs their outcome.

    No dataclass: Prefect walks those among a task's parameters, while a task beside it adds its own times.
    """

    def __init__(self, batch_id: str, seconds: dict[str, float]) -> None:
        """Begin with what was timed so far; ``batch_id`` is in every log line."""
        self.batch_id = batch_id
        self._seconds = seconds
        self._reused: list[str] = []
        self._page = ProgressPage()

    def of(self, batch_id: str) -> "StageLog":
        """The same log for a batch whose id is known now."""
        log = copy(self)
        log.batch_id = batch_id
        return log

    @contextmanager
    def timed(self, stage: str, *, total: float | None = None) -> Iterator[StageProgress]:
        """Time a stage and show its progress; with a ``total``, on the run's page too."""
        started = time.perf_counter()
        on_progress = partial(self._page.show, stage) if total else None
        with current_display().stage(stage, total, on_progress) as progress:
            yield progress
        self._seconds[stage] = self._seconds.get(stage, 0.0) + time.perf_counter() - started

    def log(self, stage: str, message: str, *, reused: bool = False, **counts: int | float) -> None:
        """Log the outcome of a stage, with its duration.

        Args:
            stage: As in ``timed``.
            message: For people.
            reused: Whether an earlier run had made the stage's output.
            counts: The figures in the message, for logs in JSON.
        """
        if reused:
            self.note_reused(stage)
        seconds = self._seconds.get(stage, 0.0)
        fields = {"batch_id": self.batch_id, "stage": stage, "seconds": round(seconds, 3), "reused": reused}
        how = "reused" if reused else f"{seconds:.2f} s"
        get_run_logger().info("%s: %s (%s)", stage, printable(message), how, extra={**fields, "counts": counts})

    def note_reused(self, what: str) -> None:
        """Note that an earlier run had made something."""
        self._reused.append(what)

    @property
    def timings(self) -> dict[str, float]:
        """Stage → seconds, to the millisecond, in the order of the stages."""
        return {stage: round(seconds, 3) for stage, seconds in self._seconds.items()}

    @property
    def reused(self) -> list[str]:
        """Stages whose output an earlier run had made."""
        return list(self._reused)

    @property
    def seconds(self) -> float:
        """Since this process began to load the job, to the millisecond."""
        return round(time.perf_counter() - STARTED, 3)

    def close(self) -> None:
        """Post the last progress."""
        self._page.close(_PAGE_SECONDS)
