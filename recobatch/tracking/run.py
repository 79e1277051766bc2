"""One run, as training sees it: told what happens, never waited for."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from recobatch.model_folder import ModelFolder
from recobatch.tracking import model_folder
from recobatch.tracking.connection import Connection
from recobatch.tracking.events import Event, EventKind, RunState, flatten_params
from recobatch.tracking.registry import DIGESTS_TAG
from recobatch.tracking.sender import Sender
from recobatch.tracking.spool import RunSpool

log = logging.getLogger("recobatch.tracking")

Status = Literal["FINISHED", "FAILED", "KILLED"]


class TrackedRun:
    """One run: what happens is written to its journal at once and reaches MLflow in the background."""

    def __init__(
        self, connection: Connection, sender: Sender, root: Path, label: str, spool: RunSpool, journal: str = ""
    ) -> None:  # fmt: skip
        self._connection = connection
        self._courier = sender
        self._root = root
        self._label = label
        self._spool: RunSpool | None = spool
        self._state = RunState()
        self._digests: dict[str, str] = {}
        self.journal = journal or spool.name
        """Name of the run's first journal, by which a later process finds the run again."""
        self._placeholder = f"spooled-{self.journal}"

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

    def log_model(self, model: ModelFolder) -> str:
        """Log the servable model as the artifact ``model``, and its factors and vocabularies beside it.

        Returns:
            Its URI, ``runs:/<run_id>/model``.
        """
        spool = self._open_spool()
        folder = spool.new_folder() / "model"
        folder.mkdir()
        model_folder.lay_out(folder, model)
        self._digests = model_folder.digests(model)
        body = {"folder": str(folder.relative_to(spool.folder)), "sha256": self._digests, "tags": {}}
        self.post(EventKind.MODEL, body)
        self._artifact(spool.keep(model.factors, "factors.npz"), "factors")
        self._artifact(spool.keep(model.users, "users.parquet"), "vocabulary")
        self._artifact(spool.keep(model.items, "items.parquet"), "vocabulary")
        return f"runs:/{self.run_id}/model"

    def resume(self, model: ModelFolder) -> None:
        """Go on with a run that a dead process had logged these very files to."""
        self._digests = model_folder.digests(model)
        self.post(EventKind.RESUME, {})
        self.flush()

    def register(self, *, description: str, tags: Mapping[str, str]) -> "RegisteredVersion":
        """See ``Tracker.register``."""
        sums = {DIGESTS_TAG: json.dumps(self._digests)}
        self.post(EventKind.REGISTER, {"description": description, "tags": {**tags, **sums}})
        self.flush()
        return RegisteredVersion(self)

    def finish(self, status: Status = "FINISHED") -> None:
        """End the run and wait, within bounds, until its records have arrived."""
        self.post(EventKind.FINISH, {"status": status})
        if not self._connection.is_up:
            self._connection.open()
        self.flush()
        if self._spool and (waiting := self._spool.pending()):
            log.warning("%s: %d records wait in the spool; the next run delivers them", self._label, len(waiting))
            if not self._connection.is_up:  # else they are still on their way
                self._spool.close()

    def post(self, kind: EventKind, body: Mapping[str, object]) -> None:
        """Write one record down and have it carried."""
        spool = self._open_spool()
        spool.append(Event(kind, dict(body)))
        self._courier.submit(spool)

    def flush(self) -> None:
        """Wait, within bounds, until the records so far have arrived; a finished run then needs no journal."""
        if self._spool is None or self._spool.is_closed:
            return
        arrived = self._courier.flush(self._spool, self._connection.options.drain_seconds)
        if arrived and self._spool.state.finished:
            self._state = self._spool.state
            self._spool.remove()
            self._spool = None

    def _open_spool(self) -> RunSpool:
        """The journal to write to: a run goes on after its end, and after the next one has delivered its records."""
        if self._spool is not None and self._spool.is_closed:
            self._state = self._spool.state
            self._spool = RunSpool.reopen(self._spool.folder)
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
