"""A published snapshot, wherever its files lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from recobatch.errors import BadTable
from recobatch.table.layout import MANIFEST, TITLES, VERSIONS
from recobatch.table.manifest import Manifest
from recobatch.table.store import Store


@dataclass(frozen=True, eq=False)
class Published:
    """A published version of the table. None of its files ever changes."""

    manifest: Manifest
    store: Store

    @classmethod
    def open(cls, store: Store, version: str) -> "Published":
        """Read a snapshot's manifest.

        Raises:
            BadTable: If it is missing, damaged, or that of another version.
        """
        where = f"{store.location}/{VERSIONS}/{version}"
        text = store.read(f"{VERSIONS}/{version}/{MANIFEST}")
        if text is None:
            raise BadTable(
                f"{where}/{MANIFEST}: found no manifest, expected one as recobatch wrote it; restore it, or roll back "
                f"to another snapshot"
            )
        manifest = Manifest.load(text, f"{where}/{MANIFEST}")
        if manifest.version != version:
            raise BadTable(
                f"{where}: found the manifest of version {manifest.version}, expected that of {version}; "
                f"restore its own, or roll back to another snapshot"
            )
        return cls(manifest, store)

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
    def main(self) -> str:
        """The folder that readers read first; see ``Manifest.main``."""
        return self.manifest.main

    @property
    def location(self) -> str:
        """Path or URI, for messages."""
        return f"{self.store.location}/{VERSIONS}/{self.version}"

    @property
    def path(self) -> Path:
        """Folder of a snapshot whose table is a local folder."""
        return Path(self.location)

    @property
    def titles(self) -> Path | pa.NativeFile | None:
        """Parquet file with ``item_id`` and ``title``, where the batch knew titles."""
        return self.file(TITLES)

    def file(self, name: str) -> Path | pa.NativeFile | None:
        """A file that not every snapshot has, such as ``users.parquet``, which those of earlier releases lack."""
        known = any(entry.path == name for entry in self.manifest.files)
        return self.store.open(self.name_of(name)) if known else None

    def parts(self, table: str, model: str | None = None) -> Sequence[Path | pa.NativeFile]:
        """The parquet files of a model, by first user.

        Args:
            table: "table" or "top".
            model: By default the champion.

        Raises:
            BadTable: If the snapshot has no such model.
        """
        model = model or self.champion
        if model not in self.manifest.models:
            known = ", ".join(sorted(self.manifest.models))
            raise BadTable(f"{self.location}: found no model {model!r}, expected one of {known}; pass one of them")
        place = f"{table}/model={model}/"
        names = sorted(entry.path for entry in self.manifest.files if entry.path.startswith(place))
        return [self.store.open(self.name_of(name)) for name in names]

    def files(self, folder: str) -> Sequence[Path | pa.NativeFile]:
        """The parquet files under a folder of the snapshot, in the order of their names."""
        names = sorted(entry.path for entry in self.manifest.files if entry.path.startswith(f"{folder}/"))
        return [self.store.open(self.name_of(name)) for name in names]

    def name_of(self, name: str) -> str:
        """A name within the snapshot as a name within the table."""
        return f"{VERSIONS}/{self.version}/{name}"
