"""The artifacts that finished runs keep in MLflow, and their removal. Params, metrics and tags stay."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from recobatch.tracking.connection import Connection
from recobatch.tracking.history import PastRun, search_runs
from recobatch.tracking.options import TrackingOptions

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

_REMOVED_TAG = "artifacts_removed"


@dataclass(frozen=True)
class StoredRun:
    """The artifacts of one run that published."""

    run: PastRun
    locations: tuple[str, ...]
    """Addresses of the run's artifacts and of its logged models'."""
    aliases: tuple[str, ...]
    """Registry aliases that point at a version of the run's model."""
    bytes: int
    """Size of those on this machine."""


class ArtifactCleanup:
    """Finds and removes artifacts.

    Args:
        options: Where MLflow is.
        root: Project root.
    """

    def __init__(self, options: TrackingOptions, root: Path) -> None:
        self._connection = Connection(options, root)
        self._name = options.registered_model

    def stored_runs(self) -> Iterator[StoredRun]:
        """Runs that published a table and have artifacts, the newest first.

        Raises:
            RecobatchError: If MLflow does not answer.
        """
        for run in search_runs(self._connection):
            if "table_version" in run.tags and _REMOVED_TAG not in run.tags:
                locations = tuple(self._locations(run.run_id))
                aliases = tuple(alias for version in self._versions(run.run_id) for alias in self._aliases(version))
                yield StoredRun(run, locations, aliases, sum(map(_size, locations)))

    def remove(self, stored: StoredRun) -> None:
        """Remove a run's artifacts, and the registered versions that need them.

        Raises:
            ValueError: If an alias points at one of them.
        """
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        if stored.aliases:
            raise ValueError(f"run {stored.run.run_id}: found the aliases {stored.aliases}, expected none")
        client = self._connection.client
        for version in self._versions(stored.run.run_id):
            client.delete_model_version(self._name, version.version)
        for location in stored.locations:
            get_artifact_repository(location).delete_artifacts(None)
        client.set_tag(stored.run.run_id, _REMOVED_TAG, "true")

    def _versions(self, run_id: str) -> "list[ModelVersion]":
        return list(self._connection.client.search_model_versions(f"name = '{self._name}' and run_id = '{run_id}'"))

    def _aliases(self, version: "ModelVersion") -> list[str]:
        """A search gives no aliases; the version itself has them."""
        return list(self._connection.client.get_model_version(self._name, version.version).aliases)

    def _locations(self, run_id: str) -> Iterator[str]:
        client = self._connection.client
        yield client.get_run(run_id).info.artifact_uri
        found = client.search_logged_models(
            [self._connection.experiment_id], filter_string=f"source_run_id = '{run_id}'"
        )
        yield from (model.artifact_location for model in found)


def _size(location: str) -> int:
    parts = urlsplit(location)
    if parts.scheme not in ("", "file"):
        return 0
    files = Path(url2pathname(parts.path)).rglob("*")
    return sum(path.stat().st_size for path in files if path.is_file())
