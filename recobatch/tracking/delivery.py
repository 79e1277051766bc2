"""From a run's records to calls of the MLflow client; each may be repeated without harm."""

import json
import logging
from typing import TYPE_CHECKING, Any

from recobatch.tracking.connection import Connection, one_line
from recobatch.tracking.model_folder import write_mlmodel
from recobatch.tracking.outbox import Journal, Record
from recobatch.tracking.registry import ABOUT, PENDING_ALIAS, describe_champion, drop_foreign_challenger
from recobatch.tracking.system_metrics import PREFIX

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("recobatch.tracking")

JOURNAL_TAG = "recobatch.spool"
"""Names the journal of a run: a repeated start finds the run that it created."""

_BATCH = 100
_REFUSALS = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"}
"""MLflow's codes for "never": the same record would be refused again."""


class Delivery:
    """Delivers records to MLflow."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parents: dict[str, str] = {}
        """Run id of journals whose runs have runs below them."""

    def deliver(self, journal: Journal, records: list[Record]) -> dict[str, Any]:
        """Send records of one kind; several only of metrics. A record that MLflow refuses is left out, and logged.

        Returns:
            What the answer adds to the run's state.

        Raises:
            Exception: If the server did not answer as it should; the records are to be sent again later.
        """
        kind = records[0].kind
        try:
            answers: dict[str, Any] | None = getattr(self, f"_{kind}")(journal, *records)
        except Exception as error:
            if _is_outage(error):
                raise
            reason = f"{type(error).__name__}: {one_line(error)}"
            log.warning("MLflow refused a record of kind %s, it is left out (%s)", kind, reason)
            return {}
        return answers or {}

    @property
    def _client(self) -> "MlflowClient":
        return self._connection.client

    def _start(self, journal: Journal, record: Record) -> dict[str, Any]:
        experiment = self._connection.experiment_id
        if journal.may_be_started:
            created = self._client.search_runs([experiment], f"tags.`{JOURNAL_TAG}` = '{journal.name}'", max_results=1)
            if created:
                return {"run_id": created[0].info.run_id}
        journal.may_be_started = True
        tags = {**record.body["tags"], JOURNAL_TAG: journal.name, **self._parent_tag(record.body.get("parent"))}
        run = self._client.create_run(experiment, record.at_ms, tags, record.body["name"])
        return {"run_id": run.info.run_id}

    def _parent_tag(self, parent: str | None) -> dict[str, str]:
        """The tag by which MLflow shows a run below the run of another journal, as far as that one arrived."""
        if parent is None:
            return {}
        if parent not in self._parents:
            experiment = self._connection.experiment_id
            found = self._client.search_runs([experiment], f"tags.`{JOURNAL_TAG}` = '{parent}'", max_results=1)
            if not found:
                return {}
            self._parents[parent] = found[0].info.run_id
        return {"mlflow.parentRunId": self._parents[parent]}

    def _resume(self, journal: Journal, record: Record) -> dict[str, Any]:
        self._client.update_run(_known(journal.state.run_id), status="RUNNING")
        return {"finished": False}

    def _params(self, journal: Journal, record: Record) -> None:
        from mlflow.entities import Param

        params = [Param(key, value) for key, value in record.body.items()]
        for first in range(0, len(params), _BATCH):
            self._client.log_batch(_known(journal.state.run_id), params=params[first : first + _BATCH])

    def _dataset(self, journal: Journal, record: Record) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        about = record.body
        profile = {name: about[name] for name in ("n_ratings", "n_users", "n_items")}
        dataset = Dataset(
            name=about["name"][:500], digest=about["fingerprint"][:36], source_type="uri",
            source=json.dumps({"uri": about["source"]}), profile=json.dumps(profile),
        )  # fmt: skip
        given = DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "training")])
        self._client.log_inputs(_known(journal.state.run_id), datasets=[given])

    def _metrics(self, journal: Journal, *records: Record) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, record.at_ms, record.body["step"])
            for record in records
            for name, value in record.body["values"].items()
        ]
        for first in range(0, len(metrics), 10 * _BATCH):
            self._client.log_batch(_known(journal.state.run_id), metrics=metrics[first : first + 10 * _BATCH])

    def _tags(self, journal: Journal, record: Record) -> None:
        from mlflow.entities import RunTag

        self._client.log_batch(_known(journal.state.run_id), tags=[RunTag(*tag) for tag in record.body.items()])

    def _artifact(self, journal: Journal, record: Record) -> None:
        file, folder = str(journal.folder / record.body["file"]), record.body["folder"] or None
        self._client.log_artifact(_known(journal.state.run_id), file, folder)

    def _model(self, journal: Journal, record: Record) -> dict[str, Any]:
        from mlflow.entities import LoggedModelOutput

        run_id, folder = _known(journal.state.run_id), journal.folder / record.body["folder"]
        model = self._client.create_logged_model(
            self._connection.experiment_id, name="model", source_run_id=run_id,
            tags={**record.body["tags"], **self._data_set(run_id)},
        )  # fmt: skip
        self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        write_mlmodel(
            folder, run_id=run_id, model_id=model.model_id, location=model.artifact_location,
            sums=record.body["sha256"],
        )  # fmt: skip
        self._client.log_model_artifacts(model.model_id, str(folder))
        self._client.finalize_logged_model(model.model_id, "READY")
        return {"model_id": model.model_id}

    def _data_set(self, run_id: str) -> dict[str, str]:
        """Name and digest of what a run was trained on."""
        given = self._client.get_run(run_id).inputs.dataset_inputs
        return {"dataset": given[0].dataset.name, "dataset_digest": given[0].dataset.digest} if given else {}

    def _register(self, journal: Journal, record: Record) -> dict[str, Any]:
        name, state = self._connection.options.registered_model, journal.state
        registered = self._client.search_model_versions(f"name = '{name}' and run_id = '{state.run_id}'")
        if registered:
            return {"version": int(registered[0].version)}
        self._create_registered_model(name)
        version = self._client.create_model_version(
            name, self._model_source(_known(state.model_id)), state.run_id, record.body["tags"],
            description=record.body["description"], await_creation_for=0, model_id=state.model_id,
        )  # fmt: skip
        link = json.dumps([{"name": name, "version": int(version.version)}])
        self._client.set_logged_model_tags(_known(state.model_id), {"mlflow.modelVersions": link})
        return {"version": int(version.version)}

    def _model_source(self, model_id: str) -> str:
        """A server resolves its own models; MLflow's local store would look for them in the global tracking URI."""
        if self._connection.uri.startswith("http"):
            return f"models:/{model_id}"
        return self._client.get_logged_model(model_id).artifact_location

    def _create_registered_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name, description=ABOUT)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _alias(self, journal: Journal, record: Record) -> None:
        name, version = self._connection.options.registered_model, _known(journal.state.version)
        self._client.set_registered_model_alias(name, record.body["alias"], version)
        self._client.delete_model_version_tag(name, version, PENDING_ALIAS)
        if record.body["alias"] == "champion":
            describe_champion(self._client, name, version)
            drop_foreign_challenger(self._client, name, self._client.get_model_version(name, version).tags["batch_id"])

    def _finish(self, journal: Journal, record: Record) -> dict[str, Any]:
        run_id = _known(journal.state.run_id)
        if journal.state.model_id:
            self._link_metrics(run_id, journal.state.model_id)
        self._client.set_terminated(run_id, record.body["status"], record.at_ms)
        return {"finished": True}

    def _link_metrics(self, run_id: str, model_id: str) -> None:
        """Repeat the run's last metrics as those of its model and data set, which have columns in the UI."""
        from mlflow.entities import Metric

        latest, data_set = self._client.get_run(run_id).data._metric_objs, self._data_set(run_id)
        linked = [
            Metric(
                one.key, one.value, one.timestamp, one.step, model_id=model_id, run_id=run_id,
                dataset_name=data_set.get("dataset"), dataset_digest=data_set.get("dataset_digest"),
            )
            for one in latest
            if not one.key.startswith(PREFIX)
        ]  # fmt: skip
        self._client.log_batch(run_id, metrics=linked)


def _is_outage(error: Exception) -> bool:
    """Whether the server is at fault; else the record is, which would block all after it."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return error.error_code not in _REFUSALS
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)


def _known(value: Any) -> str:  # noqa: ANN401 - an id or a version
    """A record that builds on an earlier answer cannot be delivered before it."""
    if value is None:
        raise LookupError("an earlier record of the run was refused")
    return str(value)
