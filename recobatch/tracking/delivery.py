"""From a run's records to calls of the MLflow client; each may be repeated without harm."""

import json
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from recobatch.tracking.connection import Connection
from recobatch.tracking.events import Event, EventKind, RunState
from recobatch.tracking.model_folder import write_mlmodel
from recobatch.tracking.registry import PENDING_ALIAS
from recobatch.tracking.spool import RunSpool

if TYPE_CHECKING:
    from mlflow import MlflowClient

SPOOL_TAG = "recobatch.spool"
"""Names the journal a run was written through: a start that is repeated finds the run it made."""

_BATCH = 100


def in_batches(events: list[Event]) -> Iterator[list[Event]]:
    """Neighbouring metrics travel together: one call costs as much as a hundred values in it."""
    for kind, group in groupby(events, key=lambda event: event.kind):
        if kind is EventKind.METRICS:
            yield list(group)
        else:
            yield from ([event] for event in group)


class Delivery:
    """Delivers the records of one run."""

    def __init__(self, connection: Connection, spool: RunSpool) -> None:
        self._connection = connection
        self._spool = spool

    def deliver(self, events: list[Event], state: RunState) -> RunState:
        """Send records of one kind; several only of metrics.

        Args:
            events: As ``in_batches`` groups them.
            state: What earlier answers said.

        Returns:
            The state with what this answer adds.
        """
        if events[0].kind is EventKind.METRICS:
            return self._metrics(events, state)
        handlers: dict[EventKind, Callable[[Event, RunState], RunState]] = {
            EventKind.START: self._start,
            EventKind.RESUME: self._resume,
            EventKind.PARAMS: self._params,
            EventKind.DATASET: self._dataset,
            EventKind.TAGS: self._tags,
            EventKind.ARTIFACT: self._artifact,
            EventKind.MODEL: self._model,
            EventKind.REGISTER: self._register,
            EventKind.ALIAS: self._alias,
            EventKind.FINISH: self._finish,
        }
        return handlers[events[0].kind](events[0], state)

    @property
    def _client(self) -> "MlflowClient":
        return self._connection.client

    def _start(self, event: Event, state: RunState) -> RunState:
        experiment = self._connection.experiment_id
        if self._spool.was_tried:
            made = self._client.search_runs([experiment], f"tags.`{SPOOL_TAG}` = '{self._spool.name}'", max_results=1)
            if made:
                return state.learn(run_id=made[0].info.run_id)
        self._spool.was_tried = True
        run = self._client.create_run(
            experiment, event.at_ms, {**event.body["tags"], SPOOL_TAG: self._spool.name}, event.body["name"]
        )
        return state.learn(run_id=run.info.run_id)

    def _resume(self, event: Event, state: RunState) -> RunState:
        self._client.update_run(_known(state.run_id), status="RUNNING")
        return state.learn(finished=False)

    def _params(self, event: Event, state: RunState) -> RunState:
        from mlflow.entities import Param

        params = [Param(key, value) for key, value in event.body.items()]
        for first in range(0, len(params), _BATCH):
            self._client.log_batch(_known(state.run_id), params=params[first : first + _BATCH])
        return state

    def _dataset(self, event: Event, state: RunState) -> RunState:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        about = event.body
        profile = {name: about[name] for name in ("n_ratings", "n_users", "n_items")}
        dataset = Dataset(
            name=about["name"][:500], digest=about["fingerprint"][:36], source_type="uri",
            source=json.dumps({"uri": about["source"]}), profile=json.dumps(profile),
        )  # fmt: skip
        made = DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "training")])
        self._client.log_inputs(_known(state.run_id), datasets=[made])
        return state

    def _metrics(self, events: list[Event], state: RunState) -> RunState:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, event.at_ms, event.body["step"])
            for event in events
            for name, value in event.body["values"].items()
        ]
        for first in range(0, len(metrics), 10 * _BATCH):
            self._client.log_batch(_known(state.run_id), metrics=metrics[first : first + 10 * _BATCH])
        return state

    def _tags(self, event: Event, state: RunState) -> RunState:
        from mlflow.entities import RunTag

        self._client.log_batch(_known(state.run_id), tags=[RunTag(*tag) for tag in event.body.items()])
        return state

    def _artifact(self, event: Event, state: RunState) -> RunState:
        self._client.log_artifact(
            _known(state.run_id), str(self._spool.folder / event.body["file"]), event.body["folder"] or None
        )
        return state

    def _model(self, event: Event, state: RunState) -> RunState:
        from mlflow.entities import LoggedModelOutput

        run_id = _known(state.run_id)
        model = self._client.create_logged_model(
            self._connection.experiment_id, name="model", source_run_id=run_id, tags=event.body["tags"]
        )
        self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        folder = self._spool.folder / event.body["folder"]
        write_mlmodel(
            folder, run_id=run_id, model_id=model.model_id, location=model.artifact_location, sums=event.body["sha256"]
        )
        self._client.log_model_artifacts(model.model_id, str(folder))
        self._client.finalize_logged_model(model.model_id, "READY")
        return state.learn(model_id=model.model_id)

    def _register(self, event: Event, state: RunState) -> RunState:
        name = self._connection.options.registered_model
        found = self._client.search_model_versions(f"name = '{name}' and run_id = '{state.run_id}'")
        if found:
            return state.learn(version=int(found[0].version))
        self._create_registered_model(name)
        body: dict[str, Any] = event.body
        version = self._client.create_model_version(
            name, self._model_source(_known(state.model_id)), state.run_id, body["tags"],
            description=body["description"], await_creation_for=0, model_id=state.model_id,
        )  # fmt: skip
        link = json.dumps([{"name": name, "version": int(version.version)}])
        self._client.set_logged_model_tags(_known(state.model_id), {"mlflow.modelVersions": link})
        return state.learn(version=int(version.version))

    def _model_source(self, model_id: str) -> str:
        """A server resolves its own models; MLflow's local store would look for them in the global tracking URI."""
        if self._connection.uri.startswith("http"):
            return f"models:/{model_id}"
        return self._client.get_logged_model(model_id).artifact_location

    def _create_registered_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name, description="Predicts the rating of a user-item pair.")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _alias(self, event: Event, state: RunState) -> RunState:
        name = self._connection.options.registered_model
        version = _known(state.version)
        self._client.set_registered_model_alias(name, event.body["alias"], version)
        self._client.delete_model_version_tag(name, version, PENDING_ALIAS)
        return state

    def _finish(self, event: Event, state: RunState) -> RunState:
        if state.model_id:
            self._link_metrics(_known(state.run_id), state.model_id)
        self._client.set_terminated(_known(state.run_id), event.body["status"], event.at_ms)
        return state.learn(finished=True)

    def _link_metrics(self, run_id: str, model_id: str) -> None:
        """Repeat the run's last metrics as those of its model, which the UI lists on a page of its own."""
        from mlflow.entities import Metric

        latest = self._client.get_run(run_id).data._metric_objs
        linked = [Metric(one.key, one.value, one.timestamp, one.step, model_id=model_id) for one in latest]
        self._client.log_batch(run_id, metrics=linked)


def _known(value: Any) -> str:  # noqa: ANN401 - an id or a version
    """A record that builds on an earlier answer cannot be delivered before it."""
    if value is None:
        raise LookupError("an earlier record of the run was refused")
    return str(value)
