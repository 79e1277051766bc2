"""Published snapshots, and which of them is current."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from recobatch.errors import BadTable
from recobatch.storage.durable import explained, fsync_folder, swap_link, write_file
from recobatch.table.layout import CURRENT, POINTER, TITLES, VERSIONS
from recobatch.table.manifest import Manifest


@dataclass(frozen=True, eq=False)
class Published(ABC):
    """A published version of the table, wherever it lies. Nothing of it ever changes."""

    manifest: Manifest

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def sequence(self) -> int:
        """Position in the order of publishing."""
        return self.manifest.sequence

    @property
    def champion(self) -> str:
        return self.manifest.champion

    @property
    def rows(self) -> dict[str, int]:
        """Predictions per model."""
        return {name: facts.rows for name, facts in self.manifest.models.items()}

    @property
    @abstractmethod
    def location(self) -> str:
        """Where it lies, for people."""

    @property
    @abstractmethod
    def titles(self) -> Path | pa.NativeFile | None:
        """Parquet file with ``item_id`` and ``title``, where the batch knew titles."""

    @abstractmethod
    def parts(self, table: str, model: str | None = None) -> Sequence[Path | pa.NativeFile]:
        """The parquet files of a model, by default the champion's, by first user; ``table`` is "table" or "top"."""


AnyPublished = TypeVar("AnyPublished", bound=Published)


@dataclass(frozen=True, eq=False)
class Snapshot(Published):
    """A published version in a folder."""

    path: Path

    @property
    def location(self) -> str:
        return str(self.path)

    @property
    def titles(self) -> Path | None:
        """Parquet file with ``item_id`` and ``title``, where the batch knew titles."""
        path = self.path / TITLES
        return path if path.is_file() else None

    def table_path(self, model: str | None = None) -> Path:
        """Folder with the predictions of a model, by default the champion's."""
        return self.path / "table" / f"model={model or self.champion}"

    def top_path(self, model: str | None = None) -> Path:
        """Folder with the best unseen items of a model, by default the champion's."""
        return self.path / "top" / f"model={model or self.champion}"

    def parts(self, table: str, model: str | None = None) -> list[Path]:
        return sorted((self.path / table / f"model={model or self.champion}").glob("*.parquet"))


def one_before(current: AnyPublished, snapshots: Sequence[AnyPublished], where: Path | str) -> AnyPublished:
    """The snapshot published last before the current one.

    Raises:
        BadTable: If there is none.
    """
    earlier = [snapshot for snapshot in snapshots if snapshot.sequence < current.sequence]
    if not earlier:
        raise BadTable(
            f"{where}: found no snapshot older than {current.version}, expected one to roll back to; "
            f"the table stays as it is"
        )
    return earlier[-1]


def open_snapshot(folder: Path) -> Snapshot:
    """Read a snapshot's manifest.

    Raises:
        BadTable: If the manifest is damaged or belongs to another folder.
    """
    manifest = Manifest.load(folder)
    if manifest.version != folder.name:
        raise BadTable(
            f"{folder}: found the manifest of version {manifest.version}, expected that of {folder.name}; "
            f"give the folder its own name back, or roll back to another snapshot"
        )
    return Snapshot(manifest, folder)


def list_snapshots(root: Path) -> tuple[list[Snapshot], list[Path]]:
    """Every snapshot in the order of publishing, and the folders whose manifest cannot be trusted."""
    sound, damaged = [], []
    folders = (root / VERSIONS).iterdir() if (root / VERSIONS).is_dir() else ()
    for folder in sorted(folders):
        try:
            sound.append(open_snapshot(folder))
        except BadTable:
            damaged.append(folder)
    return sorted(sound, key=lambda snapshot: snapshot.sequence), damaged


def current_version(root: Path) -> str | None:
    """Version that readers see now.

    The link is moved first and ``current.json`` after it, so wherever the two disagree the link is the newer one;
    the next writer mends the file. Where there is no link (a copy in an object store) the file is all there is.
    """
    link = root / CURRENT
    if link.is_symlink():
        return link.readlink().name
    try:
        return str(json.loads((root / POINTER).read_bytes())["version"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadTable(
            f"{root / POINTER}: found no readable pointer ({error}), expected JSON with a version; "
            f"point the table at a snapshot with recobatch rollback VERSION"
        ) from error


def point_at(root: Path, snapshot: Snapshot) -> None:
    """Make a snapshot the current one: the link in one step, then ``current.json`` in one step.

    Raises:
        RecobatchError: If the disk refuses; the message says which snapshot readers see.
    """
    with explained("move the link to the new snapshot", root, outcome="the table that stood before still stands"):
        swap_link(root / CURRENT, Path(VERSIONS) / snapshot.version)
    mend_pointer(root, snapshot)


def mend_pointer(root: Path, snapshot: Snapshot) -> None:
    """Bring ``current.json`` in line with the link, and both to the disk."""
    content: dict[str, Any] = {
        "version": snapshot.version,
        "champion": snapshot.champion,
        "table": f"{VERSIONS}/{snapshot.version}/table/model={snapshot.champion}",
        "sequence": snapshot.sequence,
    }
    if pointed_back := _pointed_back_from(root, snapshot):
        content["rolled_back"] = pointed_back
    outcome = f"snapshot {snapshot.version} is current but may not survive a power cut"
    with explained("confirm the new pointer", root, outcome=outcome):
        fsync_folder(root)
        write_file(root / POINTER, json.dumps(content, indent=2).encode() + b"\n")
        fsync_folder(root)


def pointer_sequence(root: Path) -> int:
    """Sequence number in ``current.json``, or 0: a floor for the next one even if manifests are damaged."""
    return _pointer(root).sequence


def rolled_back(root: Path) -> list[Snapshot]:
    """The kept snapshots that the table was pointed back from, in the order of publishing."""
    versions = _pointer(root).rolled_back
    return [snapshot for snapshot in list_snapshots(root)[0] if snapshot.version in versions] if versions else []


def _pointed_back_from(root: Path, snapshot: Snapshot) -> dict[str, int]:
    """Versions published after ``snapshot`` that readers saw before it; a new snapshot leaves none.

    They follow from what ``current.json`` says still, be it by a rollback that was killed once it had moved the link.
    """
    before = _pointer(root)
    seen = {**before.rolled_back, before.version: before.sequence}
    return {version: sequence for version, sequence in seen.items() if sequence > snapshot.sequence}


@dataclass(frozen=True)
class _Pointer:
    """``current.json``, as far as it can be read."""

    version: str = ""
    sequence: int = 0
    rolled_back: Mapping[str, int] = field(default_factory=dict)


def _pointer(root: Path) -> _Pointer:
    try:
        told = json.loads((root / POINTER).read_bytes())
        back = {str(version): int(sequence) for version, sequence in told.get("rolled_back", {}).items()}
        return _Pointer(str(told["version"]), int(told["sequence"]), back)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _Pointer()
