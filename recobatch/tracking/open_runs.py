"""The runs of one batch, which end together."""

from collections.abc import Mapping

from recobatch.tracking.run import Status, TrackedRun


class OpenRuns:
    """The runs of one batch, which end together."""

    def __init__(self) -> None:
        self._runs: list[TrackedRun] = []

    def add(self, *runs: TrackedRun) -> None:
        """Have runs end with the others."""
        self._runs += runs

    def fail(self, run: TrackedRun) -> None:
        """End one run as failed; the others do not end with it."""
        self._runs.remove(run)
        run.finish("FAILED")

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Tag every run."""
        for run in self._runs:
            run.set_tags(tags)

    def finish(self, status: Status) -> None:
        """End every run and wait, within bounds, until its records have arrived."""
        for run in self._runs:
            run.finish(status)
