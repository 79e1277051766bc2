"""One run, as training sees it: records are written down at once and sent in the background."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from recobatch.model_folder import ModelFolder
from recobatch.tracking import model_folder
from recobatch.tracking.connection import Connection
from recobatch.tracking.outbox import Journal, Kind, Record, RunState
from recobatch.tracking.params import FACT, flatten_params
from recobatch.tracking.registry import DIGESTS_TAG
from recobatch.tracking.sender import Sender
from recobatch.tracking.system_metrics import SystemMetrics

log = logging.getLogger("recobatch.tracking")

Status = Literal["FINISHED", "FAILED", "KILLED"]


class TrackedRun:
    """One run: every record is written to its journal at once and reaches MLflow in the background."""

    def __init__(
        self, connection: Connection, sender: Sender, label: str, journal: Journal, first_journal: str = ""
    ) -> None:
        self._connection = connection
        self._sender = sender
        self._label = label
        self._journal = journal
        self._digests: dict[str, str] = {}
        self._system: SystemMetrics | None = None
        self.journal = first_journal or journal.name
        """Name of the run's first journal, by which a later process finds the run again."""

    @property
    def state(self) -> RunState:
        return self._journal.state

    @property
    def run_id(self) -> str:
        """MLflow's id; ``spooled-…`` until the server has answered."""
        return self.state.run_id or f"spooled-{self.journal}"

    @property
    def url(self) -> str | None:
        """The run's page; None without a server, or while it is unreachable."""
        return self._connection.run_url(self.state.run_id) if self.state.run_id else None

    def log_epoch(self, epoch: int, loss: float, val_loss: float | None, **figures: float) -> None:
        """Log the losses of an epoch, counted from 1, and further figures."""
        values = {"loss": loss, **figures} if val_loss is None else {"loss": loss, "val_loss": val_loss, **figures}
        self._metrics(values, step=epoch)

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Log figures of the whole run, such as ``test_mse``, or of one of its steps."""
        self._metrics(metrics, step=step)

    def log_facts(self, facts: Mapping[str, float]) -> None:
        """Log counts and other figures that describe the run but do not rate its model.

        They become params below ``fact``: as metrics, each would have a chart between the curves.
        """
        self.log_params({FACT: dict(facts)})

    def log_params(self, params: Mapping[str, object]) -> None:
        """Log more settings, nested as they are."""
        self.post("params", flatten_params(params))

    def watch_system(self, seconds: float) -> None:
        """Log the load of the machine every so many seconds, until the run ends."""
        self._system = SystemMetrics(seconds, self._metrics)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.post("tags", tags)

    def log_text(self, text: str, artifact_path: str) -> None:
        """Log a text as the artifact ``artifact_path``."""
        path = PurePosixPath(artifact_path)
        journal = self._open_journal()
        file = journal.new_folder() / path.name
        file.write_text(text, encoding="utf-8")
        self._artifact(str(file.relative_to(journal.folder)), str(path.parent))

    def log_file(self, path: Path, artifact_dir: str = "") -> None:
        """Log a file under its own name in the artifact folder ``artifact_dir``."""
        self._artifact(self._open_journal().keep(path), artifact_dir)

    def log_bundle(self, folder: Path, artifact_dir: str = "") -> None:
        """Log every file below ``folder``, at the same relative place."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.log_file(path, str(PurePosixPath(artifact_dir, path.parent.relative_to(folder).as_posix())))

    def log_model(self, model: ModelFolder) -> str:
        """Log the servable model as the artifact ``model``, and its factors and vocabularies beside it.

        Returns:
            Its URI, ``runs:/<run_id>/model``.
        """
        journal = self._open_journal()
        folder = journal.new_folder() / "model"
        folder.mkdir()
        model_folder.lay_out(folder, model)
        self._digests = model_folder.digests(model)
        body = {"folder": str(folder.relative_to(journal.folder)), "sha256": self._digests, "tags": {}}
        self.post("model", body)
        self._artifact(journal.keep(model.factors, "factors.npz"), "factors")
        self._artifact(journal.keep(model.users, "users.parquet"), "vocabulary")
        self._artifact(journal.keep(model.items, "items.parquet"), "vocabulary")
        return f"runs:/{self.run_id}/model"

    def resume(self, model: ModelFolder | None) -> None:
        """Resume a run to which a process that ended had logged this very model, if any."""
        self._digests = {} if model is None else model_folder.digests(model)
        self.post("resume", {})
        self.flush()

    def register(self, *, description: str, tags: Mapping[str, str]) -> "RegisteredVersion":
        """See ``Tracker.register``."""
        sums = {DIGESTS_TAG: json.dumps(self._digests)}
        self.post("register", {"description": description, "tags": {**tags, **sums}})
        self.flush()
        return RegisteredVersion(self)

    def finish(self, status: Status = "FINISHED") -> None:
        """End the run and wait, within bounds, until its records have arrived."""
        if self._system is not None:
            self._system.stop()
        self.post("finish", {"status": status})
        if not self._connection.is_up:
            self._connection.open()
        self.flush()
        if not self._journal.is_closed and (waiting := self._journal.pending()):
            log.warning("%s: %d records are kept on disk; the next run delivers them", self._label, len(waiting))
            if not self._connection.is_up:  # else they are still on their way
                self._journal.close()

    def post(self, kind: Kind, body: Mapping[str, object]) -> None:
        """Write one record and have it sent."""
        journal = self._open_journal()
        journal.append(Record(kind, dict(body)))
        self._sender.submit(journal)

    def flush(self) -> None:
        """Wait, within bounds, until the records so far have arrived; a finished run then needs no journal."""
        if self._journal.is_closed:
            return
        arrived = self._sender.flush(self._journal, self._connection.options.drain_seconds)
        if arrived and self.state.finished:
            self._journal.remove()

    def close(self) -> None:
        """Leave what has not arrived to the next process, unless it is on its way."""
        if not self._journal.is_closed and not self._connection.is_up:
            self._journal.close()

    def _open_journal(self) -> Journal:
        """The journal to write to: a run may be logged to after its end, when its journal is closed or delivered."""
        if self._journal.is_closed:
            folder = self._journal.folder
            self._journal = Journal.reopen(folder) or Journal.create(folder.parent, self._label, self.state)
        return self._journal

    def _metrics(self, values: Mapping[str, float], step: int) -> None:
        self.post("metrics", {"step": step, "values": {name: float(value) for name, value in values.items()}})

    def _artifact(self, file: str, folder: str) -> None:
        self.post("artifact", {"file": file, "folder": "" if folder == "." else folder})


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of the registered model, registered already or as soon as the server is reachable."""

    run: TrackedRun

    @property
    def version(self) -> int | None:
        """Its number; None until the server has answered."""
        return self.run.state.version

    def __str__(self) -> str:
        return "not yet numbered" if self.version is None else str(self.version)
