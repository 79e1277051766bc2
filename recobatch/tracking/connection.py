"""The connection to the tracking server, and whether it answers."""

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from recobatch.addresses import check_encoded, masked, without_secrets
from recobatch.probe import probe
from recobatch.tracking.database import prepare_database
from recobatch.tracking.options import TrackingOptions

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("recobatch.tracking")

_PROBE_SECONDS = 2.0
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""The UI opens on training runs, not on chats."""


class Connection:
    """An MLflow client, the experiment's id, and whether the server answered the last call."""

    def __init__(self, options: TrackingOptions, root: Path) -> None:
        _calm_mlflow(options)
        self.options = options
        self.root = root
        self.uri = options.resolve_uri(root)
        check_encoded(self.uri)
        self.is_up = False
        self._is_loss_logged = False
        self._client: MlflowClient | None = None
        self._experiment_id: str | None = None

    @property
    def client(self) -> "MlflowClient":
        if self._client is None:
            from mlflow import MlflowClient

            prepare_database(self.uri)
            self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        return self._client

    @property
    def experiment_id(self) -> str:
        """Id of the experiment, made on first use; a deleted one of that name is brought back."""
        if self._experiment_id is None:
            self._experiment_id = self._find_or_create_experiment()
        return self._experiment_id

    def open(self, *, is_quiet: bool = False) -> bool:
        """Try to reach the server, within a bounded time; returns whether it answered.

        Args:
            is_quiet: Whether to log nothing if it does not, where nothing is to be recorded.
        """
        try:
            self._probe()
            _ = self.experiment_id
        except Exception as error:  # noqa: BLE001 - tracking must never stop a batch, whatever a server answers
            self._is_loss_logged |= is_quiet
            self.lost(error)
            return False
        self.is_up, self._is_loss_logged = True, False
        return True

    def lost(self, error: Exception) -> None:
        """Note that the server did not answer as it should; logged once per outage."""
        if not self._is_loss_logged:
            log.warning("MLflow at %s does not answer (%s); records are kept on disk", self.shown, one_line(error))
        self.is_up, self._is_loss_logged = False, True

    @property
    def shown(self) -> str:
        """The URI without credentials."""
        return without_secrets(self.uri)

    def run_url(self, run_id: str) -> str | None:
        """The run's page, where the server has pages."""
        if not self.uri.startswith("http"):
            return None
        return f"{self.shown.rstrip('/')}/#/experiments/{self.experiment_id}/runs/{run_id}"

    def _probe(self) -> None:
        """Any answer will do, even a refusal: MLflow's own client would wait much longer for none."""
        if self.uri.startswith(("http://", "https://")):
            address = f"{self.shown.rstrip('/')}/health"
            probe(address, _PROBE_SECONDS)

    def _find_or_create_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        name = self.options.experiment
        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return self.client.create_experiment(name, self._artifact_location(), _EXPERIMENT_TAGS)
            except MlflowException:  # another process was faster
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def _artifact_location(self) -> str | None:
        """Beside a local database, so that it does not depend on the folder one happens to stand in."""
        if self.uri.startswith("sqlite:///"):
            folder = re.sub(
                r"[^\w .=+-]|^\.+", "_", self.options.experiment
            )  # any name, "/Users/me/x" too, is one folder
            return (self.root.resolve() / "mlruns" / folder).as_uri()
        return None


def one_line(error: BaseException) -> str:
    """An error's message for a log: one line of bounded length, without credentials."""
    return masked(" ".join(str(error).split()))[:300] or type(error).__name__


def _calm_mlflow(options: TrackingOptions) -> None:
    """Settings MLflow reads from the environment; those that the user has set are kept."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(options.timeout_seconds),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
        "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0.2",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }.items():
        os.environ.setdefault(name, value)
    # It logs what it raises with a traceback; ours is one line.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
