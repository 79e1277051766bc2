"""Registered models, checked before they are loaded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Self

from recobatch.addresses import Address, without_secrets
from recobatch.errors import BadInput, BadTable, RecobatchError
from recobatch.model_folder import (
    CALIBRATION_FILE,
    INTEREST_FILE,
    MEASURED_FILES,
    SCORED_FILES,
    STATE_FILE,
    ModelFolder,
    trust,
)
from recobatch.storage.durable import link_or_copy
from recobatch.storage.fingerprints import file_digests
from recobatch.tracking.connection import Connection
from recobatch.tracking.model_folder import MEASURED

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

ABOUT = "Predicts the rating of a user-item pair."
"""First words of the registered model's description, by which a later run knows that no person wrote it."""
DIGESTS_TAG = "sha256"
"""Tag of a version: the sha256 of every file by name, as JSON."""

PENDING_ALIAS = "pending_alias"
"""Tag of a version: the alias that it gets once its batch is published; gone when the alias points at it."""


@dataclass(frozen=True)
class RegisteredModel:
    """A version of the registered model."""

    name: str
    version: int
    run_id: str
    tags: Mapping[str, str]
    """As given on registration, and the digests of the files under ``sha256``."""
    description: str
    client: "MlflowClient"

    @classmethod
    def of(cls, version: "ModelVersion", connection: Connection) -> Self:
        """From MLflow's own."""
        return cls(
            version.name, int(version.version), version.run_id, dict(version.tags), version.description or "",
            connection.client,
        )  # fmt: skip

    def download(self, folder: Path) -> ModelFolder:
        """Fetch the files that scoring reads into ``folder``, of the optional ones those that the version has.

        The state of a sampled model lies beside them.

        Raises:
            BadTable: If a file differs from the digest recorded on registration, or none was recorded.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._fetch("served", folder)
        model = ModelFolder(folder / "served")
        if STATE_FILE in self._digests:
            self._fetch("state", folder)
            (folder / "state" / STATE_FILE).replace(model.state)
        optional = {INTEREST_FILE, CALIBRATION_FILE, STATE_FILE}
        expected = set(SCORED_FILES) | (optional & self._digests.keys())
        self._check([model.path / name for name in sorted(expected | model.scored_files.keys())])
        return model

    def download_measured(self, folder: Path) -> ModelFolder:
        """As ``download``, with the files that measuring it again takes, where it was registered with them.

        Raises:
            BadTable: As ``download``.
        """
        model = self.download(folder)
        for name in MEASURED_FILES:
            if name in self._digests:
                self._fetch(f"{MEASURED}/{name}", folder).replace(model.path / name)
                self._check([model.path / name])
        return model

    def _fetch(self, part: str, folder: Path) -> Path:
        from mlflow.artifacts import download_artifacts

        location = self.client.get_model_version_download_uri(self.name, str(self.version)).rstrip("/")
        uri = f"{location}/{part}"
        if (local := Address.parse(uri).local) is not None and local.exists():
            return _linked(local, folder / local.name)
        try:
            return Path(
                download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=self.client.tracking_uri)
            )
        except Exception as error:
            if self._is_there(uri):
                raise
            raise BadTable(
                f"{self.name} version {self.version}: found no such artifact as {without_secrets(uri)}, expected that "
                f"of its registration; restore it, point the champion at another version, or train again"
            ) from error

    def _is_there(self, uri: str) -> bool:
        """Whether an artifact exists, which was not downloaded; what MLflow raises then depends on its store."""
        from mlflow.artifacts import list_artifacts

        folder, _, name = uri.rpartition("/")
        listed = list_artifacts(artifact_uri=folder, tracking_uri=self.client.tracking_uri)
        return any(PurePosixPath(each.path).name == name for each in listed)

    @property
    def _digests(self) -> dict[str, str]:
        return json.loads(self.tags.get(DIGESTS_TAG, "{}"))

    def _check(self, paths: list[Path]) -> None:
        """Compare files with the digests recorded on registration, and trust them from then on."""
        there = [path for path in paths if path.exists()]
        digests = dict(zip(there, file_digests(there), strict=True))
        for path in paths:
            found, expected = digests.get(path, "no file"), self._digests.get(path.name, "none")
            if found != expected:
                raise BadTable(
                    f"{self.name} version {self.version}, {path.name}: found sha256 {found[:12]}, expected "
                    f"{expected[:12]} as recorded on registration; the artifact was changed, point the champion at "
                    f"another version or train again"
                )
            trust(path)


def _linked(source: Path, target: Path) -> Path:
    """A second name for a file, or for all files of a folder; copies where the file system has none."""
    if source.is_file():
        link_or_copy(source.resolve(), target)
        return target
    for path in sorted(source.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path.resolve(), place)
    return target


def find_champion(connection: Connection) -> RegisteredModel:
    """The version under the alias ``champion``; see ``Tracker.champion``."""
    from mlflow.exceptions import MlflowException

    name = connection.options.registered_model
    _require_answer(connection, f"the registered champion of {name!r}")
    try:
        version = connection.client.get_model_version_by_alias(name, "champion")
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise RecobatchError(f"MLflow at {connection.shown}: {error}") from error
        raise BadInput(
            f"MLflow at {connection.shown}: found no champion of {name!r}, expected a registered one; "
            f"run `recobatch train` first"
        ) from None
    return RegisteredModel.of(version, connection)


def find_version(connection: Connection, run_id: str) -> RegisteredModel:
    """The version that a run logged; see ``Tracker.version_of``."""
    found = _search(connection, f"run_id = '{run_id}'", "the model of the table")
    if not found:
        raise BadInput(
            f"MLflow at {connection.shown}: found no version of {connection.options.registered_model!r} from run "
            f"{run_id}, expected the one that made the table; set MLFLOW_TRACKING_URI to where it was registered"
        )
    return found[-1]


def find_batch(connection: Connection, batch_id: str) -> dict[str, RegisteredModel]:
    """The newest versions of a batch's models, by name; see ``Tracker.versions_of``."""
    found = _search(connection, f"tags.batch_id = '{batch_id}'", f"the models of batch {batch_id}")
    return {version.tags.get("model", ""): version for version in found}


def find_newest(connection: Connection, table: str) -> RegisteredModel | None:
    """The newest version that was trained for a table; see ``Tracker.newest_version``."""
    if "'" in table:  # no filter of MLflow can hold it
        return None
    found = _search(connection, f"tags.table = '{table}'", "the models of the table")
    return found[-1] if found else None


def _search(connection: Connection, wanted: str, expected: str) -> list[RegisteredModel]:
    """Versions in ascending order; ``expected`` is for the message if the server does not answer."""
    from mlflow.exceptions import MlflowException

    _require_answer(connection, expected)
    name = connection.options.registered_model
    try:
        found = connection.client.search_model_versions(f"name = '{name}' and {wanted}")
    except MlflowException as error:
        raise RecobatchError(f"MLflow at {connection.shown}: {error}") from error
    return sorted((RegisteredModel.of(each, connection) for each in found), key=lambda each: each.version)


def move_pending_aliases(connection: Connection, batch_id: str) -> dict[str, int]:
    """Move the aliases that the versions of a batch still wait for; one at a newer version stays there.

    Returns:
        Alias → the version that it points at now, of those that were moved.
    """
    client, name, moved = connection.client, connection.options.registered_model, {}
    for found in client.search_model_versions(f"name = '{name}' and tags.batch_id = '{batch_id}'"):
        version = int(found.version)
        if (alias := found.tags.get(PENDING_ALIAS)) is None:
            continue
        if version > int(client.get_registered_model(name).aliases.get(alias, 0)):
            client.set_registered_model_alias(name, alias, str(version))
            moved[alias] = version
        client.delete_model_version_tag(name, str(version), PENDING_ALIAS)
    if "champion" in moved:
        describe_champion(client, name, str(moved["champion"]))
    if "champion" in moved and "challenger" not in moved:
        drop_foreign_challenger(client, name, batch_id)
    return moved


def describe_champion(client: "MlflowClient", name: str, version: str) -> None:
    """Repeat the champion's description on the page of the registered model, unless a person has written another."""
    if (client.get_registered_model(name).description or ABOUT).startswith(ABOUT):
        note = client.get_model_version(name, version).description or ""
        client.update_registered_model(name, f"{ABOUT}\n\nChampion: version {version}. {note}".rstrip())


def drop_foreign_challenger(client: "MlflowClient", name: str, batch_id: str) -> None:
    """Remove the alias ``challenger`` from a model of another batch than the champion's."""
    version = client.get_registered_model(name).aliases.get("challenger")
    if version is not None and client.get_model_version(name, version).tags.get("batch_id") != batch_id:
        client.delete_registered_model_alias(name, "challenger")


def _require_answer(connection: Connection, expected: str) -> None:
    if not connection.is_up and not connection.open():
        raise RecobatchError(
            f"MLflow at {connection.shown}: found no answer, expected {expected}; start the server or set "
            f"MLFLOW_TRACKING_URI"
        )
