"""Earlier batches as MLflow remembers them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from recobatch.errors import BadInput, RecobatchError
from recobatch.tracking.connection import Connection
from recobatch.tracking.database import local_database
from recobatch.tracking.options import TrackingOptions
from recobatch.tracking.params import FACT

if TYPE_CHECKING:
    from mlflow.entities import Run

_PAGE = 200


@dataclass(frozen=True)
class PastRun:
    """One model of one batch."""

    batch_id: str
    model: str
    run_id: str
    status: str
    """MLflow's: ``RUNNING``, ``FINISHED``, ``FAILED`` or ``KILLED``."""
    started: datetime
    """UTC."""
    metrics: Mapping[str, float]
    """Last value of each, and the facts; releases that had no facts logged them as metrics."""
    params: Mapping[str, str]
    """Settings."""
    tags: Mapping[str, str]
    """Ours, not MLflow's own."""
    url: str | None


def has_history(options: TrackingOptions, root: Path) -> bool:
    """Whether there may be earlier batches: a local database that was never made has none, and asking makes it."""
    path = local_database(options.resolve_uri(root))
    return path is None or path.exists()


def require_answer(options: TrackingOptions, root: Path) -> None:
    """Check that the server can be read from.

    Raises:
        RecobatchError: If it does not answer.
    """
    _require_answer(Connection(options, root))


def _require_answer(connection: Connection) -> None:
    if not connection.is_up and not connection.open(is_quiet=True):
        raise RecobatchError(
            f"MLflow at {connection.shown}: found no answer, expected the runs of earlier batches; "
            f"start the server or set MLFLOW_TRACKING_URI"
        )


def find_runs(connection: Connection, batch_ids: Sequence[str], newest: int) -> list[PastRun]:
    """See ``Tracker.past_runs``."""
    _require_answer(connection)
    if not batch_ids:
        runs = _search(connection, "")
        order = list(dict.fromkeys(run.batch_id for run in runs))[:newest]
        return [run for run in runs if run.batch_id in order]
    return [run for batch_id in batch_ids for run in _runs_of(connection, batch_id)]


def search_runs(connection: Connection) -> list[PastRun]:
    """The newest runs of the experiment, at most 1,000, the newest first.

    Raises:
        RecobatchError: If the server does not answer.
    """
    _require_answer(connection)
    return _search(connection, "", at_most=1000)


def _runs_of(connection: Connection, batch_id: str) -> list[PastRun]:
    runs = _search(connection, f"tags.batch_id = '{batch_id}'") if "'" not in batch_id else []
    if not runs:
        known = dict.fromkeys(run.batch_id for run in _search(connection, ""))
        shown = ", ".join(list(known)[:5]) or "none"
        raise BadInput(
            f"MLflow at {connection.shown}: found no run of the batch {batch_id!r}, expected a tracked batch "
            f"(newest: {shown}); pass one of those"
        )
    return runs


def _search(connection: Connection, wanted: str, *, at_most: int = _PAGE) -> list[PastRun]:
    found = connection.client.search_runs(
        [connection.experiment_id], wanted, max_results=at_most, order_by=["attributes.start_time DESC"]
    )
    return [_past_run(connection, run) for run in found if "batch_id" in run.data.tags]


def _past_run(connection: Connection, run: "Run") -> PastRun:
    prefix = f"{FACT}."
    facts = {key.removeprefix(prefix): float(each) for key, each in run.data.params.items() if key.startswith(prefix)}
    settings = {key: each for key, each in run.data.params.items() if not key.startswith(prefix)}
    return PastRun(
        run.data.tags["batch_id"], run.data.tags.get("model", ""), run.info.run_id, run.info.status,
        datetime.fromtimestamp(run.info.start_time / 1000, UTC), {**run.data.metrics, **facts}, settings,
        {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")},
        connection.run_url(run.info.run_id),
    )  # fmt: skip
