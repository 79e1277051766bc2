"""The door to MLflow, for one process."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from recobatch.addresses import without_secrets
from recobatch.model_folder import ModelFolder
from recobatch.tracking.about import run_tags, user_name
from recobatch.tracking.connection import Connection
from recobatch.tracking.delivery import Delivery
from recobatch.tracking.history import PastRun, find_runs
from recobatch.tracking.options import DatasetInfo, TrackingOptions
from recobatch.tracking.outbox import OUTBOX, Journal, Record
from recobatch.tracking.params import flatten_params
from recobatch.tracking.registry import (
    PENDING_ALIAS,
    RegisteredModel,
    find_batch,
    find_champion,
    find_newest,
    find_version,
    move_pending_aliases,
)
from recobatch.tracking.resume import find_journal
from recobatch.tracking.run import RegisteredVersion, TrackedRun
from recobatch.tracking.searches import SearchRuns
from recobatch.tracking.sender import Sender

log = logging.getLogger("recobatch.tracking")

Alias = Literal["champion", "challenger"]

_KEPT_DAYS = 30
"""How long records wait for a server that never answers."""


class Tracker:
    """The door to MLflow, for one process.

    Creating one imports MLflow (about two seconds), prepares the local database and calls the server. An unreachable
    server costs a bounded few seconds and one warning; all records are then kept on disk.

    Args:
        options: Where and under which names.
        root: The project root: holds ``mlflow.db``, ``mlruns/`` and the outbox ``.recobatch/spool/``.
    """

    def __init__(self, options: TrackingOptions, root: Path) -> None:
        self.options = options
        self.root = root
        self._connection = Connection(options, root)
        self._connection.open()
        self._sender = Sender(self._connection, Delivery(self._connection).deliver)
        self._outbox = root / OUTBOX
        self.delivered_runs = 0
        """Earlier runs whose records were kept on disk and arrived through this tracker."""
        self.deliver_left_over()

    @property
    def is_up(self) -> bool:
        """Whether the server answered the last call."""
        return self._connection.is_up

    @property
    def shown(self) -> str:
        """The server's address without credentials."""
        return self._connection.shown

    def run_url(self, run_id: str) -> str | None:
        """A run's page, where the server has pages and answers."""
        return self._connection.run_url(run_id) if self.is_up else None

    def start_run(
        self, *, batch_id: str, model_name: str, params: Mapping[str, object], dataset: DatasetInfo,
        group: Literal["batch_id", "evaluation_id"] = "batch_id",
    ) -> TrackedRun:  # fmt: skip
        """Begin the run of one model in one batch.

        Args:
            batch_id: Groups the runs of a batch, or of an evaluation; a tag.
            model_name: Name in the registry of models.
            params: Every setting that shaped the model, nested as the settings are.
            dataset: What it is trained on; its fingerprint becomes a param too.
            group: Name of the tag; a run without ``batch_id`` is none of a batch.
        """
        if not self.is_up:
            self._connection.open()
        self.deliver_left_over()
        journal = Journal.create(self._outbox, model_name)
        run = TrackedRun(self._connection, self._sender, model_name, journal)
        tags = run_tags(batch_id, model_name, dataset)
        tags[group] = tags.pop("batch_id")
        run.post("start", {"name": f"{model_name} · {batch_id}", "tags": tags})
        run.post("params", flatten_params({**params, "dataset": {"fingerprint": dataset.fingerprint}}))
        run.post("dataset", asdict(dataset) | {"source": without_secrets(dataset.source)})
        run.flush()
        if self.options.system_metrics_seconds is not None:
            run.watch_system(self.options.system_metrics_seconds)
        return run

    def searches(self) -> SearchRuns:
        """The runs of searches for settings."""
        if not self.is_up:
            self._connection.open()
        self.deliver_left_over()
        return SearchRuns(self._connection, self._sender, self._outbox, user=user_name())

    def resume_run(self, journal: str, *, model_name: str, model: ModelFolder | None) -> TrackedRun | None:
        """Resume the run of a process that was killed, or failed, after it had logged its model.

        Args:
            journal: ``TrackedRun.journal`` in that process.
            model_name: Name in the registry of models.
            model: The very model that was logged; None for a run that logs none.

        Returns:
            None if the run is unknown, its model never arrived, or the server is unreachable.
        """
        found = find_journal(self._connection, self.root, journal, model_name, needs_model=model is not None)
        if found is None:
            return None
        run = TrackedRun(self._connection, self._sender, model_name, found, journal)
        run.resume(model)
        return run

    def deliver_left_over(self) -> int:
        """Deliver the records that earlier runs left on disk; a run that was killed is ended as such.

        Every new tracker and every new run calls it.

        Returns:
            How many runs had records left and are now complete.
        """
        delivered = 0
        for journal in Journal.left_over(self._outbox):
            if not self.is_up:
                _drop_if_stale(journal)
                continue
            if journal.is_killed:
                journal.append(Record("finish", {"status": "KILLED"}))
            had_records = bool(journal.pending())
            if self._sender.flush(journal, self.options.drain_seconds):
                delivered += had_records
                journal.remove()
        if delivered:
            log.info("delivered the records of %d earlier runs to MLflow", delivered)
        self.delivered_runs += delivered
        return delivered

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
        version.run.post("alias", {"alias": alias})
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

    def version_of(self, run_id: str) -> RegisteredModel:
        """The registered version that a run logged.

        Raises:
            BadInput: If there is none.
            RecobatchError: If the server does not answer.
        """
        return find_version(self._connection, run_id)

    def versions_of(self, batch_id: str) -> dict[str, RegisteredModel]:
        """The registered versions of a batch, by the name of their model.

        Raises:
            RecobatchError: If the server does not answer.
        """
        return find_batch(self._connection, batch_id)

    def newest_version(self, table: str) -> RegisteredModel | None:
        """The newest version with this tag ``table``; None if there is none.

        Raises:
            RecobatchError: If the server does not answer.
        """
        return find_newest(self._connection, table)

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


def _drop_if_stale(journal: Journal) -> None:
    """A server that never answers must not fill the disk."""
    if journal.age_days > _KEPT_DAYS:
        log.warning("dropped the records of the run %s: MLflow was unreachable for too long", journal.name)
        journal.remove()
