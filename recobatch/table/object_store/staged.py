"""The files of a version that is staged in an object store: shards under their final names, notes beside the table.

``staging/<version>/shaped-by.json`` says what the shards depend on, ``staging/<version>/reports/`` which of them are
whole. No reader looks for a version that the pointer does not list, so shards need no other place before.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from recobatch.errors import RecobatchError
from recobatch.scoring.shards import ShardReport
from recobatch.storage.bucket import Bucket
from recobatch.storage.etag import ETag
from recobatch.storage.scratch import machine_folder, temporary_folder
from recobatch.storage.store_errors import PreconditionFailed
from recobatch.table.layout import STAGED, VERSIONS
from recobatch.table.resume import Unfinished

_KEY = "shaped-by.json"
_REPORTS = "reports"


@dataclass(frozen=True)
class BucketFiles:
    """Shards below a version's prefix; each is a file on this machine only until it is uploaded."""

    bucket: Bucket
    """Of the table."""
    version: str
    path: Path
    """Folder of the small files on the machine of the run, which names the shards; a worker needs none of that name."""

    def place(self, folder: str) -> Path:
        return self.path / folder

    def once(self, out: Path, write: Callable[[Path], ShardReport]) -> tuple[ShardReport, bool]:
        if (kept := self._kept(out)) is not None:
            return kept, True
        with temporary_folder(machine_folder(), "shard") as folder:
            report = replace(write(folder / out.name), path=out)
            etag = self._upload(folder / out.name, report)
        note = asdict(report) | {"path": self._name(out), "etag": asdict(etag)}
        with suppress(PreconditionFailed):  # another attempt at the same shard has noted it
            self.bucket.replace(self._note(out), json.dumps(note).encode())
        return report, False

    def _kept(self, out: Path) -> ShardReport | None:
        """The report of a shard that is noted and still in the state that its upload left."""
        if (found := self.bucket.read(self._note(out))) is None:
            return None
        try:
            note = json.loads(found[0])
            etag = ETag(**note.pop("etag"))
            report = ShardReport(**note | {"path": out})
        except (ValueError, KeyError, TypeError):
            return None
        return report if self.bucket.state(self._object(out)) == (report.bytes, etag) else None

    def _upload(self, path: Path, report: ShardReport) -> ETag:
        """Upload a shard, unless the very same is there: of an attempt that ended before its note."""
        name = self._object(report.path)
        try:
            return self.bucket.upload(name, path, scratch=upload_folder(self.version))
        except PreconditionFailed:
            return check_same(self.bucket, name, report.bytes, report.sha256)

    def sizes(self) -> dict[Path, int]:
        found = self.bucket.sizes(f"{VERSIONS}/{self.version}")
        return {self.path / name: size for name, size in found.items() if name.startswith(("table/", "top/"))}

    def open(self, out: Path, size: int | None = None) -> pa.NativeFile:
        return self.bucket.open_file(self._object(out), size)

    def discard(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(RecobatchError):
            remove_version(self.bucket, self.version)

    def _name(self, out: Path) -> str:
        return out.relative_to(self.path).as_posix()

    def _object(self, out: Path) -> str:
        return f"{VERSIONS}/{self.version}/{self._name(out)}"

    def _note(self, out: Path) -> str:
        return f"{STAGED}/{self.version}/{_REPORTS}/{hashlib.sha256(self._name(out).encode()).hexdigest()[:20]}.json"


def upload_folder(version: str) -> str:
    """Where the large files of a version lie until they have their names; removed with the version's notes."""
    return f"{STAGED}/{version}/uploads"


def remember(bucket: Bucket, version: str, shaped_by: str, notes: Mapping[str, Any]) -> None:
    """Note what the shards of a version depend on."""
    content = json.dumps({"shaped_by": shaped_by, "notes": dict(notes)}).encode()
    bucket.replace(f"{STAGED}/{version}/{_KEY}", content)


def list_unfinished(bucket: Bucket, scratch: Path) -> list[Unfinished]:
    """Versions that can be resumed, the one with the most finished files first."""
    found = []
    for version in bucket.children(STAGED)[0]:
        finished = sum(name.startswith(f"{_REPORTS}/") for name in bucket.sizes(f"{STAGED}/{version}"))
        try:
            content = json.loads((bucket.read(f"{STAGED}/{version}/{_KEY}") or (b"",))[0])
            left = Unfinished(scratch, version, content["shaped_by"], dict(content["notes"]), finished)
        except (ValueError, KeyError, TypeError):
            continue  # the run died too early
        found.append(left)
    return sorted(found, key=lambda left: (left.finished, left.version), reverse=True)


def remove_version(bucket: Bucket, version: str) -> None:
    """Remove all files of a version and its notes."""
    for folder in (f"{VERSIONS}/{version}", f"{STAGED}/{version}"):
        bucket.delete([f"{folder}/{name}" for name in bucket.sizes(folder)])


def check_same(bucket: Bucket, name: str, size: int, sha256: str) -> ETag:
    """The state of an object whose content has to be the one that was to be written.

    Raises:
        RecobatchError: If it is another.
    """
    digest, found = hashlib.sha256(), bucket.state(name)
    if found is not None and found[0] == size:
        with bucket.open_file(name, size) as file:
            while chunk := file.read(1 << 22):
                digest.update(chunk)
        if digest.hexdigest() == sha256:
            return found[1]
    raise RecobatchError(
        f"{bucket.uri}/{name}: found other content under a name that is this run's own, expected a free name; "
        f"nothing was published, run again with --fresh"
    )
