"""The frozen context of a batch, and the services that its tasks use."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from flows import CODE
from flows.progress.json_log import log_as_json
from flows.progress.stages import StageLog
from flows.progress.startup import start_timings
from flows.server.outage import server_watched
from flows.settings.load import load_settings
from flows.settings.sources import with_block_ratings
from flows.settings.tree import Settings
from recobatch.errors import GateRefused, RecobatchError
from recobatch.storage import durable
from recobatch.storage.workspace import Workspace
from recobatch.table import Table, open_table
from recobatch.tracking import OpenRuns, Status, TrackedRun, Tracker, TrackingOptions, has_records


@dataclass(frozen=True, eq=False)
class Services:
    """What a flow run works with, before it is known which batch it makes."""

    settings: Settings
    root: Path
    """Project folder."""
    fresh: bool
    """Redo every stage, reuse nothing."""
    new_batch_id: str
    """Of the batch, unless an earlier one is resumed."""
    work: Workspace
    """Outputs of stages."""
    table: Table
    stages: StageLog
    runs: OpenRuns
    """The batch's runs in MLflow."""

    @property
    def tracker(self) -> Tracker:
        """The door to MLflow, opened on first use: a run that finds nothing new does without it."""
        return open_tracker(self.settings.tracking, self.root)

    @property
    def delivered_runs(self) -> int:
        """Earlier runs whose records were kept on disk and arrived through this process."""
        opened = _trackers.get((self.settings.tracking, self.root))
        return 0 if opened is None else opened.delivered_runs

    def begin(self, batch_id: str | None = None, resumed: dict[str, TrackedRun] | None = None) -> "Job":
        """The batch of this run.

        Args:
            batch_id: Of the batch that is resumed; None begins a new one.
            resumed: Its MLflow runs by model.
        """
        name = batch_id or self.new_batch_id
        self.runs.add(*(resumed or {}).values())
        services = {each.name: getattr(self, each.name) for each in fields(Services)}
        services["stages"] = self.stages.of(name)
        return Job(**services, batch_id=name, resumed=resumed or {})

    def report_path(self, batch_id: str) -> Path:
        """Where the report of a batch is kept."""
        return self.root / ".recobatch" / "reports" / f"{batch_id}.html"


@dataclass(frozen=True, eq=False)
class Job(Services):
    """One batch."""

    batch_id: str
    resumed: dict[str, TrackedRun] = field(default_factory=dict)
    """MLflow runs by model, of a batch that an earlier run began; its models are trained and tracked already."""


def open_services(settings: Settings, *, fresh: bool = False) -> Services:
    """Open the services of a flow run in the current folder."""
    settings, root, batch_id = effective_settings(settings), Path.cwd(), new_batch_id()
    if settings.log.format == "json":
        log_as_json()
    if has_records(root):
        open_tracker(settings.tracking, root)  # delivers them
    return Services(
        settings, root, fresh, batch_id,
        work=Workspace.open(settings.work.path, root=root, fresh=fresh, caller=CODE),
        table=open_table(settings.table.path, root=root),
        stages=StageLog(batch_id, start_timings()),
        runs=OpenRuns(),
    )  # fmt: skip


def effective_settings(settings: Settings) -> Settings:
    """The settings of a run: those given explicitly, and the rest from the environment and recobatch.toml.

    They are read here, where the batch runs, so that a deployment's parameters need not repeat them.
    """
    return with_block_ratings(load_settings(settings.model_dump(exclude_unset=True)))


_trackers: dict[tuple[TrackingOptions, Path], Tracker] = {}
_opening = Lock()


def open_tracker(options: TrackingOptions, root: Path) -> Tracker:
    """The process' tracker; opening it imports MLflow, so the command line does that while the server starts."""
    with _opening:
        if (options, root) not in _trackers:
            _trackers[options, root] = Tracker(options, root)
        return _trackers[options, root]


@contextmanager
def closing(services: Services) -> Iterator[None]:
    """At the end, whatever the outcome: end the MLflow runs with their status and prune the workspace."""
    status: Status = "FINISHED"
    try:
        with server_watched():
            yield
    except GateRefused as refusal:
        services.runs.set_tags({"gate": str(refusal)})
        raise
    except OSError as error:
        status = "FAILED"
        if not durable.is_disk_trouble(error):
            raise
        where = Path(error.filename or services.root)
        raise RecobatchError(durable.refusal(error, "write the output of the run", where)) from error
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        raise
    finally:
        services.runs.finish(status)
        services.stages.close()
        services.work.prune(keep_days=services.settings.work.keep_days)


def new_batch_id() -> str:
    """A batch's name, which sorts by time: ``20261124T030000Z-1a2b3c``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
