"""Runs as the pipeline sees them: told what happens, never waited for."""

import getpass
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from recobatch.tracking import model_folder
from recobatch.tracking.connection import Connection
from recobatch.tracking.courier import Courier
from recobatch.tracking.events import Event, EventKind, RunState, flatten_params, mask_credentials
from recobatch.tracking.history import PastRun, find_runs
from recobatch.tracking.options import DatasetInfo, ModelFiles, TrackingOptions
from recobatch.tracking.registry import DIGESTS_TAG, RegisteredModel, find_champion
from recobatch.tracking.spool import RunSpool

log = logging.getLogger("recobatch.tracking")

Status = Literal["FINISHED", "FAILED", "KILLED"]
Alias = Literal["champion", "challenger"]


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
        self._courier = Courier(self._connection)
        self._has_delivered = False

    @property
    def is_up(self) -> bool:
        """Whether the server answered the last time it was asked."""
        return self._connection.is_up

    def start_run(
        self, *, batch_id: str, model_name: str, params: Mapping[str, object], dataset: DatasetInfo
    ) -> "TrackedRun":
        """Begin the run of one model in one batch.

        Args:
            batch_id: Groups the runs of a batch; a tag.
            model_name: Name in the registry of models.
            params: Every setting that shaped the model, nested as the settings are.
            dataset: What it is trained on; its fingerprint becomes a param too.
        """
        if not self._has_delivered:
            self.deliver_spool()
        run = TrackedRun(self._connection, self._courier, self.root, model_name)
        tags = {
            "batch_id": batch_id, "model": model_name, "mlflow.user": _user(),
            "mlflow.source.name": "recobatch", "mlflow.source.type": "JOB",
        }  # fmt: skip
        run.post(EventKind.START, {"name": f"{model_name} · {batch_id}", "tags": tags})
        run.post(EventKind.PARAMS, flatten_params({**params, "dataset": {"fingerprint": dataset.fingerprint}}))
        run.post(EventKind.DATASET, asdict(dataset) | {"source": mask_credentials(dataset.source)})
        run.drain()
        return run

    def deliver_spool(self) -> int:
        """Deliver what earlier runs had to leave behind; a run that was killed is closed as such.

        Returns:
            How many runs had records waiting and are now complete.
        """
        self._has_delivered = True
        if not self.is_up:
            self._drop_stale()
            return 0
        delivered = 0
        for spool in RunSpool.left_over(self.root):
            if not spool.is_finished and not spool.is_empty:
                spool.append(Event(EventKind.FINISH, {"status": "KILLED"}))
            had_records = bool(spool.pending())
            if self._courier.drain(spool, self.options.drain_seconds):
                delivered += had_records
                spool.remove()
        if delivered:
            log.info("delivered the records of %d earlier runs to MLflow", delivered)
        return delivered

    def _drop_stale(self) -> None:
        """A server that never answers must not fill the disk."""
        for spool in RunSpool.left_over(self.root):
            if spool.age_days > self.options.spool_days:
                log.warning("dropped the records of the run %s: MLflow was away for too long", spool.name)
                spool.remove()

    def register(self, run: "TrackedRun", *, description: str, tags: Mapping[str, str]) -> "RegisteredVersion":
        """Make the run's logged model a version of the registered model; digests of its files are added as tags."""
        return run.register(description=description, tags=tags)

    def set_alias(self, alias: Alias, version: "RegisteredVersion") -> None:
        """Point ``champion`` or ``challenger`` at a version."""
        version.run.post(EventKind.ALIAS, {"alias": alias})
        version.run.drain()

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


class TrackedRun:
    """One run: what happens is written to its journal at once and reaches MLflow in the background."""

    def __init__(self, connection: Connection, courier: Courier, root: Path, label: str) -> None:
        self._connection = connection
        self._courier = courier
        self._root = root
        self._label = label
        self._spool: RunSpool | None = RunSpool.create(root, label)
        self._state = RunState()
        self._digests: dict[str, str] = {}
        self._placeholder = f"spooled-{self._spool.name}"

    @property
    def state(self) -> RunState:
        return self._spool.state if self._spool else self._state

    @property
    def run_id(self) -> str:
        """MLflow's id; ``spooled-…`` as long as the server is away."""
        return self.state.run_id or self._placeholder

    @property
    def url(self) -> str | None:
        """The run's page; none without a server, or while it is away."""
        return self._connection.run_url(self.state.run_id) if self.state.run_id else None

    def log_epoch(self, epoch: int, loss: float, val_loss: float | None) -> None:
        """Note the losses of an epoch, counted from 1."""
        values = {"loss": loss} if val_loss is None else {"loss": loss, "val_loss": val_loss}
        self._metrics(values, step=epoch)

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Note figures of the whole run, such as ``test_mse``."""
        self._metrics(metrics, step=0)

    def log_params(self, params: Mapping[str, object]) -> None:
        """Note more settings, nested as they are."""
        self.post(EventKind.PARAMS, flatten_params(params))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.post(EventKind.TAGS, tags)

    def log_text(self, text: str, artifact_path: str) -> None:
        """Keep a text as the artifact ``artifact_path``."""
        path = PurePosixPath(artifact_path)
        spool = self._open_spool()
        file = spool.new_folder() / path.name
        file.write_text(text, encoding="utf-8")
        self._artifact(str(file.relative_to(spool.folder)), str(path.parent))

    def log_file(self, path: Path, artifact_dir: str = "") -> None:
        """Keep a file under its own name in the artifact folder ``artifact_dir``."""
        self._artifact(self._open_spool().keep(path), artifact_dir)

    def log_bundle(self, folder: Path, artifact_dir: str = "") -> None:
        """Keep every file below ``folder``, at the same relative place."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.log_file(path, str(PurePosixPath(artifact_dir, path.parent.relative_to(folder).as_posix())))

    def log_model(self, files: ModelFiles) -> str:
        """Log the servable model as the artifact ``model``, and its factors and vocabularies beside it.

        Returns:
            Its URI, ``runs:/<run_id>/model``.
        """
        spool = self._open_spool()
        folder = spool.new_folder() / "model"
        folder.mkdir()
        model_folder.lay_out(folder, files)
        self._digests = model_folder.digests(folder)
        body = {"folder": str(folder.relative_to(spool.folder)), "sha256": self._digests, "tags": {}}
        self.post(EventKind.MODEL, body)
        self._artifact(spool.keep(files.factors, "factors.npz"), "factors")
        self._artifact(spool.keep(files.users, "users.parquet"), "vocabulary")
        self._artifact(spool.keep(files.items, "items.parquet"), "vocabulary")
        return f"runs:/{self.run_id}/model"

    def register(self, *, description: str, tags: Mapping[str, str]) -> "RegisteredVersion":
        """See ``Tracker.register``."""
        sums = {DIGESTS_TAG: json.dumps(self._digests)}
        self.post(EventKind.REGISTER, {"description": description, "tags": {**tags, **sums}})
        self.drain()
        return RegisteredVersion(self)

    def finish(self, status: Status = "FINISHED") -> None:
        """End the run and wait, within bounds, until its records have arrived."""
        self.post(EventKind.FINISH, {"status": status})
        if not self._connection.is_up:
            self._connection.open()
        self.drain()
        if self._spool and (waiting := self._spool.pending()):
            log.warning("%s: %d records wait in the spool; the next run delivers them", self._label, len(waiting))

    def post(self, kind: EventKind, body: Mapping[str, object]) -> None:
        """Write one record down and have it carried."""
        spool = self._open_spool()
        spool.append(Event(kind, dict(body)))
        self._courier.hand_over(spool)

    def drain(self) -> None:
        """Wait, within bounds, until the records so far have arrived; a finished run then needs no journal."""
        if self._spool is None:
            return
        arrived = self._courier.drain(self._spool, self._connection.options.drain_seconds)
        if arrived and self._spool.state.finished:
            self._state = self._spool.state
            self._spool.remove()
            self._spool = None

    def _open_spool(self) -> RunSpool:
        if self._spool is None:
            self._spool = RunSpool.create(self._root, self._label)
            self._spool.acknowledge(0, self._state)
        return self._spool

    def _metrics(self, values: Mapping[str, float], step: int) -> None:
        self.post(EventKind.METRICS, {"step": step, "values": {name: float(value) for name, value in values.items()}})

    def _artifact(self, file: str, folder: str) -> None:
        self.post(EventKind.ARTIFACT, {"file": file, "folder": "" if folder == "." else folder})


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of the registered model, there already or waiting in the spool."""

    run: TrackedRun

    @property
    def version(self) -> int | None:
        """Its number; none while the server is away."""
        return self.run.state.version

    def __str__(self) -> str:
        return "waiting in the spool" if self.version is None else str(self.version)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
