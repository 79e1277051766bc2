"""A published snapshot in an object store."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from recobatch.errors import BadTable
from recobatch.storage.durable import explained
from recobatch.table.layout import CHAMPION, MANIFEST, TITLES, VERSIONS
from recobatch.table.manifest import Manifest
from recobatch.table.object_store.bucket import Bucket
from recobatch.table.snapshots import Published, Snapshot
from recobatch.table.verify import VerifyReport, verify_snapshot


@dataclass(frozen=True, eq=False)
class RemoteSnapshot(Published):
    """A published version of the table. None of its objects ever changes."""

    bucket: Bucket

    @property
    def location(self) -> str:
        return f"{self.bucket.uri}/{self._folder}"

    @property
    def titles(self) -> pa.NativeFile | None:
        known = any(entry.path == TITLES for entry in self.manifest.files)
        return self.bucket.open_file(f"{self._folder}/{TITLES}") if known else None

    def parts(self, table: str, model: str | None = None) -> list[pa.NativeFile]:
        model = model or self.champion
        if model not in self.manifest.models:
            known = ", ".join(sorted(self.manifest.models))
            raise BadTable(f"{self.location}: found no model {model!r}, expected one of {known}; pass one of them")
        place = f"{table}/model={model}/"
        names = sorted(entry.path for entry in self.manifest.files if entry.path.startswith(place))
        return [self.bucket.open_file(f"{self._folder}/{name}") for name in names]

    def check_sizes(self) -> list[str]:
        """Hold names and sizes of the objects to the manifest; one line per problem."""
        found = self.bucket.sizes(self._folder)
        listed = {entry.path: entry.bytes for entry in self.manifest.files}
        there, known = found.keys() - {MANIFEST}, listed.keys()
        problems = [f"{name}: found no such file, expected as the manifest lists it" for name in known - there]
        problems += [f"{name}: found a file that the manifest does not list" for name in there - known]
        problems += [
            f"{name}: found {found[name]:,} bytes, expected {size:,}"
            for name, size in listed.items()
            if name in found and found[name] != size
        ]
        return sorted(problems)

    def verify(self) -> VerifyReport:
        """Copy everything to a folder for the moment, and check every byte and every pair there."""
        if problems := self.check_sizes():
            return VerifyReport.of(self.manifest, problems)
        with TemporaryDirectory(prefix="recobatch-verify-") as scratch:
            folder = Path(scratch, self.version)
            with explained("hold a copy of the snapshot", folder, outcome="nothing was checked"):
                for name in [MANIFEST, *(entry.path for entry in self.manifest.files)]:
                    self._copy(name, folder)
                (folder / CHAMPION).symlink_to(Path("table") / f"model={self.champion}")
            return verify_snapshot(Snapshot(self.manifest, folder))

    def _copy(self, name: str, folder: Path) -> None:
        path = folder / name
        if not path.is_relative_to(folder) or ".." in path.parts:
            raise BadTable(
                f"{self.location}: found a manifest that lists {name!r}, expected names within the snapshot; "
                f"roll back to another snapshot"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        self.bucket.fetch(f"{self._folder}/{name}", path)

    @property
    def _folder(self) -> str:
        return f"{VERSIONS}/{self.version}"


def open_remote(bucket: Bucket, version: str) -> RemoteSnapshot:
    """Read a snapshot's manifest.

    Raises:
        BadTable: If it is missing, damaged, or that of another version.
    """
    name = f"{VERSIONS}/{version}/{MANIFEST}"
    where = f"{bucket.uri}/{name}"
    found = bucket.read(name)
    if found is None:
        raise BadTable(
            f"{where}: found no manifest, expected one as recobatch wrote it; restore it, or roll back to another "
            f"snapshot"
        )
    manifest = Manifest.parse(found[0], where)
    if manifest.version != version:
        raise BadTable(
            f"{where}: found the manifest of version {manifest.version}, expected that of {version}; "
            f"restore it, or roll back to another snapshot"
        )
    return RemoteSnapshot(manifest, bucket)
