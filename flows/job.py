"""What every task of a batch shares."""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from pathlib import Path

from prefect.logging import get_run_logger

from flows.progress.artifact import ProgressPage
from flows.progress.display import Line, current_display
from flows.progress.json_log import log_as_json
from flows.progress.startup import STARTED, start_timings
from flows.server.outage import server_watched
from flows.settings.load import load_settings
from flows.settings.sources import with_block_ratings
from flows.settings.tree import Settings
from recobatch.errors import GateRefused, RecobatchError
from recobatch.storage import durable
from recobatch.storage.workspace import Workspace
from recobatch.table import Table, open_table
from recobatch.tracking import DatasetInfo, Status, TrackedRun, Tracker, TrackingOptions

CODE = Path(__file__).parent
"""Source of the flows, which shapes a table as that of recobatch does."""
_PAGE_SECONDS = 2.0
"""Longest wait for the last progress to arrive at its page."""


@dataclass
class Job:
    """One batch on its way: its settings, where its stages leave their output, and where the time goes."""

    settings: Settings
    root: Path
    batch_id: str
    fresh: bool = False
    timings: dict[str, float] = field(default_factory=dict)
    """Stage → seconds, in the order of the stages."""
    reused: list[str] = field(default_factory=list)
    """Stages whose output an earlier run had made."""
    runs: list[TrackedRun] = field(default_factory=list)
    """The batch's runs in MLflow; ``closing`` ends them."""
    page: ProgressPage = field(default_factory=ProgressPage)
    """Progress on the run's page in Prefect."""

    @classmethod
    def open(cls, settings: Settings, *, fresh: bool = False) -> "Job":
        """Begin a batch in the current folder.

        What the settings do not say explicitly is read from the environment and recobatch.toml, here where the batch
        runs: a deployment's parameters need not repeat them.
        """
        settings = with_block_ratings(load_settings(settings.model_dump(exclude_unset=True)))
        if settings.log.format == "json":
            log_as_json()
        job = cls(settings, Path.cwd(), new_batch_id(), fresh)
        job.timings |= start_timings()
        return job

    @cached_property
    def work(self) -> Workspace:
        return Workspace(self.root / self.settings.work.path, fresh=self.fresh, caller=CODE)

    @cached_property
    def table(self) -> Table:
        return open_table(self.settings.table.path, root=self.root)

    @property
    def tracker(self) -> Tracker:
        return open_tracker(self.settings.tracking, self.root)

    def report_path(self, batch_id: str) -> Path:
        """Where the report of a batch is kept."""
        return self.root / ".recobatch" / "reports" / f"{batch_id}.html"

    @contextmanager
    def stage(self, name: str, *, total: float | None = None) -> Iterator[Line]:
        """Time a stage and show its progress; with a ``total``, on the run's page too."""
        started = time.perf_counter()
        watch = partial(self.page.show, name) if total else None
        with current_display().line(name, total, watch) as line:
            yield line
        self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - started

    @property
    def seconds(self) -> float:
        """Since this process began to load the job."""
        return time.perf_counter() - STARTED

    def start_run(self, model_name: str, params: Mapping[str, object], dataset: DatasetInfo) -> TrackedRun:
        """Begin the MLflow run of one model of this batch."""
        run = self.tracker.start_run(batch_id=self.batch_id, model_name=model_name, params=params, dataset=dataset)
        self.runs.append(run)
        return run

    @contextmanager
    def closing(self) -> Iterator[None]:
        """End the batch's MLflow runs with the proper status, whatever happens, and tidy the workspace."""
        status: Status = "FINISHED"
        try:
            with server_watched():
                yield
        except GateRefused as refusal:
            for run in self.runs:
                run.set_tags({"gate": str(refusal)})
            raise
        except OSError as error:
            status = "FAILED"
            if not durable.is_disk_trouble(error):
                raise
            where = Path(error.filename or self.root)
            raise RecobatchError(durable.refusal(error, "take what the run writes", where)) from error
        except BaseException as error:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            raise
        finally:
            for run in self.runs:
                run.finish(status)
            self.page.close(_PAGE_SECONDS)
            self.work.prune(keep_days=self.settings.work.keep_days)

    def tell(self, stage: str, story: str, *, reused: bool = False, **counts: int | float) -> None:
        """One line of the story that the log tells, with the seconds of its stage.

        Args:
            stage: Whose line it is.
            story: For people.
            reused: Whether an earlier run had done the work.
            counts: The figures of the story, for lines of JSON.
        """
        if reused:
            self.reused.append(stage)
        seconds = self.timings.get(stage, 0.0)
        beside = {"batch_id": self.batch_id, "stage": stage, "seconds": round(seconds, 3), "reused": reused}
        how = "reused" if reused else f"{seconds:.2f} s"
        get_run_logger().info("%s: %s (%s)", stage, story, how, extra={**beside, "counts": counts})


@cache
def open_tracker(options: TrackingOptions, root: Path) -> Tracker:
    """The process' tracker; opening it imports MLflow, so the command line does that while the server starts."""
    return Tracker(options, root)


def new_batch_id() -> str:
    """A batch's name, which sorts by time: ``20261124T030000Z-1a2b3c``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
