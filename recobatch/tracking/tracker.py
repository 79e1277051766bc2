"""The door to MLflow, for one process."""

import getpass
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from recobatch.addresses import without_secrets
from recobatch.model_folder import ModelFolder
from recobatch.tracking.connection import Connection
from recobatch.tracking.events import Event, EventKind, flatten_params
from recobatch.tracking.history import PastRun, find_runs
from recobatch.tracking.options import DatasetInfo, TrackingOptions
from recobatch.tracking.registry import PENDING_ALIAS, RegisteredModel, find_champion, move_pending_aliases
from recobatch.tracking.resume import find_journal
from recobatch.tracking.run import RegisteredVersion, TrackedRun
from recobatch.tracking.sender import Sender
from recobatch.tracking.spool import RunSpool

log = logging.getLogger("recobatch.tracking")

Alias = Literal["champion", "challenger"]

_SPOOL_DAYS = 30
"""How long records wait for a server that never answers."""


class Tracker:
    """The door to MLflow, for one process.

    Creating one imports MLflow (about two seconds), prepares the local database and looks for the server. A server
    that is away costs a bounded few seconds and one line in the log; all records then wait in the spool.

    Args:
        options: Where and under which names.
        root: The project root: holds ``mlflow.db``, ``mlruns/`` and ``.recobatch/spool/``.
    """

    def __init__(self, options: TrackingOptions, root: Path) -> None:
        self.options = options
        self.root = root
        self._connection = Connection(options, root)
        self._connection.open()
        self._courier = Sender(self._connection)
        self.delivered_runs = 0
        """Earlier runs whose records had waited and arrived through this tracker."""
        self.deliver_spool()

    @property
    def is_up(self) -> bool:
        """Whether the server answered the last time it was asked."""
        return self._connection.is_up

    @property
    def shown(self) -> str:
        """The server's address without credentials."""
        return self._connection.shown

    def run_url(self, run_id: str) -> str | None:
        """A run's page, where the server has pages and answers."""
        return self._connection.run_url(run_id) if self.is_up else None

    def start_run(
        self, *, batch_id: str, model_name: str, params: Mapping[str, object], dataset: DatasetInfo
    ) -> TrackedRun:
        """Begin the run of one model in one batch.

        Args:
            batch_id: Groups the runs of a batch; a tag.
            model_name: Name in the registry of models.
            params: Every setting that shaped the model, nested as the settings are.
            dataset: What it is trained on; its fingerprint becomes a param too.
        """
        if not self.is_up:
            self._connection.open()
        self.deliver_spool()
        spool = RunSpool.create(self.root, model_name)
        run = TrackedRun(self._connection, self._courier, self.root, model_name, spool)
        tags = {
            "batch_id": batch_id, "model": model_name, "mlflow.user": _user(),
            "mlflow.source.name": "recobatch", "mlflow.source.type": "JOB",
        }  # fmt: skip
        run.post(EventKind.START, {"name": f"{model_name} · {batch_id}", "tags": tags})
        run.post(EventKind.PARAMS, flatten_params({**params, "dataset": {"fingerprint": dataset.fingerprint}}))
        run.post(EventKind.DATASET, asdict(dataset) | {"source": without_secrets(dataset.source)})
        run.flush()
        return run

    def resume_run(self, journal: str, *, model_name: str, model: ModelFolder) -> TrackedRun | None:
        """Go on with the run of a process that died, or failed, after it had logged its model.

        Args:
            journal: As ``TrackedRun.journal`` told that process.
            model_name: Name in the registry of models.
            model: The very model that was logged.

        Returns:
            None if the run is not known any more, its model never arrived, or nobody can tell.
        """
        spool = find_journal(self._connection, self.root, journal, model_name)
        if spool is None:
            return None
        run = TrackedRun(self._connection, self._courier, self.root, model_name, spool, journal)
        run.resume(model)
        return run

    def deliver_spool(self) -> int:
        """Deliver what earlier runs had to leave behind; a run that was killed is closed as such.

        Every new tracker and every new run does so by itself.

        Returns:
            How many runs had records waiting and are now complete.
        """
        if not self.is_up:
            self._drop_stale()
            return 0
        delivered = 0
        for spool in RunSpool.left_over(self.root):
            if not spool.is_finished and not spool.is_empty:
                spool.append(Event(EventKind.FINISH, {"status": "KILLED"}))
            had_records = bool(spool.pending())
            if self._courier.flush(spool, self.options.drain_seconds):
                delivered += had_records
                spool.remove()
        if delivered:
            log.info("delivered the records of %d earlier runs to MLflow", delivered)
        self.delivered_runs += delivered
        return delivered

    def _drop_stale(self) -> None:
        """A server that never answers must not fill the disk."""
        for spool in RunSpool.left_over(self.root):
            if spool.age_days > _SPOOL_DAYS:
                log.warning("dropped the records of the run %s: MLflow was away for too long", spool.name)
                spool.remove()

    def register(
        self, run: TrackedRun, *, description: str, tags: Mapping[str, str], pending: Alias | None = None
    ) -> RegisteredVersion:
        """Make the run's logged model a version of the registered model; digests of its files are added as tags.

        Args:
            run: It logged a model.
            description: Of the version.
            tags: Of the version.
            pending: Alias that ``set_alias`` moves to the version later, or ``move_pending_aliases`` in its place.
        """
        return run.register(description=description, tags={**tags, **({PENDING_ALIAS: pending} if pending else {})})

    def set_alias(self, alias: Alias, version: RegisteredVersion) -> None:
        """Point ``champion`` or ``challenger`` at a version."""
        version.run.post(EventKind.ALIAS, {"alias": alias})
        version.run.flush()

    def move_pending_aliases(self, batch_id: str) -> dict[str, int]:
        """Move the aliases that a published batch registered versions for and did not come to move.

        Returns:
            Alias → version, of those that were moved; nothing without a server.
        """
        from mlflow.exceptions import MlflowException

        try:
            return move_pending_aliases(self._connection, batch_id) if self.is_up else {}
        except MlflowException as error:
            log.warning("the aliases of batch %s could not be checked: %s", batch_id, error)
            return {}

    def champion(self) -> RegisteredModel:
        """The version that ``champion`` points at.

        Raises:
            BadInput: If there is none.
            RecobatchError: If the server does not answer.
        """
        return find_champion(self._connection)

    def past_runs(self, *batch_ids: str, newest: int = 5) -> list[PastRun]:
        """The runs of earlier batches, newest first.

        Args:
            batch_ids: The batches to look up, in the order of the answer.
            newest: Without ids: how many of the newest batches.

        Raises:
            BadInput: If a batch was never tracked.
            RecobatchError: If the server does not answer.
        """
        return find_runs(self._connection, batch_ids, newest)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
