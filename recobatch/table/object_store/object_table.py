"""The prediction table in an object store.

Order of a publish: every file under its own name, the manifest, then one conditional write of the pointer, which also
lists what is published. Order of a removal: the pointer without it, then its objects. So whatever the pointer names is
whole at every moment, whoever dies when, and whoever comes late finds another pointer and loses.
"""

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from recobatch.errors import BadSettings, BadTable, RecobatchError
from recobatch.storage.durable import explained, remove
from recobatch.table.layout import MARKER, STAGING, VERSIONS, safe_name
from recobatch.table.manifest import Manifest
from recobatch.table.object_store.bucket import Bucket, PreconditionFailed
from recobatch.table.object_store.catalog import next_sequence, pointing_at
from recobatch.table.object_store.lease import LEASE
from recobatch.table.object_store.remote_snapshot import RemoteSnapshot, open_remote
from recobatch.table.object_store.session import Session, current_session, read_catalog, session
from recobatch.table.object_store.upload import upload
from recobatch.table.resume import Unfinished, list_unfinished, remember, take_up
from recobatch.table.snapshots import one_before
from recobatch.table.staging import Staging
from recobatch.table.verify import VerifyReport


class ObjectTable:
    """A table below a URI; what changes it takes the table's lease unless this process holds it already."""

    def __init__(self, bucket: Bucket, scratch: Path) -> None:
        """Open a table; nothing is read yet.

        Args:
            bucket: Where the table lies.
            scratch: Folder on this machine in which snapshots grow; for this table alone.
        """
        self._bucket = bucket
        self._scratch = scratch

    @contextmanager
    def lock(self, *, holder: str) -> Iterator[None]:
        """As ``PredictionTable.lock``; the pointer as it is now is what ``publish`` will hold the table to."""
        self._claim()
        with session(self._bucket, holder):
            yield

    def _exclusive(self, holder: str) -> AbstractContextManager[None]:
        return nullcontext() if current_session(self._bucket) else self.lock(holder=holder)

    @property
    def _session(self) -> Session:
        ours = current_session(self._bucket)
        assert ours is not None, "only called within _exclusive"
        return ours

    def stage(self, version: str, *, shaped_by: str = "", notes: Mapping[str, Any] | None = None) -> Staging:
        """As ``PredictionTable.stage``; the folder is on this machine."""
        safe_name("version", version)
        if version in self._bucket.children(VERSIONS)[0]:
            raise RecobatchError(
                f"{self._bucket.uri}: found version {version} there already, expected a new version; "
                f"a published snapshot never changes, run with another version"
            )
        path = self._scratch / f"{STAGING}{version}-{secrets.token_hex(4)}"
        with explained("make a staging folder", path):
            path.mkdir(parents=True)
        if shaped_by:
            remember(path, version, shaped_by, notes or {})
        return self._staging(path, version)

    def unfinished(self) -> list[Unfinished]:
        """As ``PredictionTable.unfinished``; what was begun on this machine."""
        left = list_unfinished(self._scratch)
        catalog, _ = read_catalog(self._bucket) if left else (None, None)
        return [each for each in left if catalog is None or each.version not in catalog.snapshots]

    def resume(self, shaped_by: str) -> Staging | None:
        """As ``PredictionTable.resume``."""
        left = take_up(self.unfinished(), shaped_by)
        return None if left is None else self._staging(left.path, left.version)

    def _staging(self, path: Path, version: str) -> Staging:
        return Staging(path, version, self._exclusive, lambda: next_sequence(self._session.catalog), self._land)

    def current(self) -> RemoteSnapshot | None:
        """As ``PredictionTable.current``."""
        catalog, _ = read_catalog(self._bucket)
        if catalog is None:
            self._check_free()
            return None
        return open_remote(self._bucket, catalog.version)

    def snapshots(self) -> list[RemoteSnapshot]:
        """Every sound snapshot, in the order of publishing."""
        catalog, _ = read_catalog(self._bucket)
        sound = []
        for version in catalog.snapshots if catalog else ():
            try:
                sound.append(open_remote(self._bucket, version))
            except BadTable:
                continue  # as on a disk: left for a person to look at
        return sound

    def rolled_back(self) -> list[RemoteSnapshot]:
        """As ``PredictionTable.rolled_back``."""
        catalog, _ = read_catalog(self._bucket)
        marked = catalog.rolled_back if catalog else ()
        return [snapshot for snapshot in self.snapshots() if snapshot.version in marked] if marked else []

    def snapshot(self, version: str | None = None) -> RemoteSnapshot:
        """As ``PredictionTable.snapshot``."""
        if version is None:
            if (current := self.current()) is None:
                raise BadTable(
                    f"{self._bucket.uri}: found no published snapshot, expected one; publish with recobatch run"
                )
            return current
        safe_name("version", version)
        catalog, _ = read_catalog(self._bucket)
        known = list(catalog.snapshots)[::-1] if catalog else []
        if version not in known:
            raise BadTable(
                f"{self._bucket.uri}: found no version {version}, expected one of {', '.join(known[:5]) or 'none yet'}"
                f"{', …' if len(known) > 5 else ''}; pass one of them"
            )
        return open_remote(self._bucket, version)

    def rollback(self, version: str | None = None) -> RemoteSnapshot:
        """As ``PredictionTable.rollback``, but it looks at names and sizes only; ``verify`` reads the bytes."""
        self.snapshot(version)  # before the lease: what is no table yet must not become one
        with self._exclusive("rollback"):
            target = (
                self.snapshot(version)
                if version is not None
                else one_before(self.snapshot(), self.snapshots(), self._bucket.uri)
            )
            if problems := target.check_sizes():
                raise BadTable(
                    f"{target.location}: found a damaged snapshot ({problems[0]}), expected a whole one; "
                    f"the table stays as it is, roll back to another version"
                )
            self._session.move(pointing_at(self._session.catalog, target.manifest, self._session.holder))
        return target

    def verify(self, version: str | None = None) -> VerifyReport:
        """As ``PredictionTable.verify``; needs room for a copy in the folder for temporary files."""
        return self.snapshot(version).verify()

    def damage(self, version: str | None = None) -> list[str]:
        """As ``PredictionTable.damage``."""
        return self.snapshot(version).check_sizes()

    def clean(self, *, keep: Staging | None = None, keep_unfinished: bool = False) -> list[str]:
        """Remove what dead runs left: staging folders on this machine, and versions that were never published.

        Args:
            keep: The staging folder that is gone on with.
            keep_unfinished: Whether to keep all that may be gone on with, as long as it is not known what will be.

        Returns:
            What was removed.
        """
        if self._bucket.read(MARKER) is None:
            return []
        with self._exclusive("clean"):
            kept = {each.path: each.version for each in (self.unfinished() if keep_unfinished else ())}
            kept |= {keep.path: keep.version} if keep else {}
            folders = [path for path in self._scratch.glob(f"{STAGING}*") if path not in kept]
            with explained("remove what an earlier run left", self._scratch):
                for path in folders:
                    remove(path)
            return [*map(str, folders), *self._remove_orphans(set(kept.values()))]

    def _remove_orphans(self, kept: set[str]) -> list[str]:
        catalog = self._session.catalog
        if catalog is None:
            return []  # without a pointer to rewrite, a run that is only slow could still point at them
        orphans = [v for v in self._bucket.children(VERSIONS)[0] if v not in {*catalog.snapshots, *kept}]
        if orphans:
            # The same once more: a run that is only slow finds another pointer from here on, and cannot point at them.
            self._session.move(catalog.without(set(), self._session.holder))
            self._remove(orphans)
        return [f"{self._bucket.uri}/{VERSIONS}/{version}" for version in orphans]

    def retain(self, keep: int) -> list[str]:
        """As ``PredictionTable.retain``."""
        if keep < 1:
            raise BadSettings(f"table.keep: found {keep}, expected at least 1; the current snapshot is always kept")
        with self._exclusive("retain"):
            catalog = self._session.catalog
            old = [v for v in list(catalog.snapshots)[:-keep] if v != catalog.version] if catalog else []
            if catalog and old:
                self._session.move(catalog.without(set(old), self._session.holder))
                self._remove(old)
        return old

    def _remove(self, versions: list[str]) -> None:
        for version in versions:
            folder = f"{VERSIONS}/{version}"
            self._bucket.delete([f"{folder}/{name}" for name in self._bucket.sizes(folder)])

    def _land(self, staging: Path, manifest: Manifest) -> RemoteSnapshot:
        upload(self._bucket, staging, manifest)
        self._session.move(pointing_at(self._session.catalog, manifest, self._session.holder))
        shutil.rmtree(staging, ignore_errors=True)  # what cannot be removed now is removed by the next run
        return RemoteSnapshot(manifest, self._bucket)

    def _claim(self) -> None:
        """Mark the place as a table unless it is one."""
        if self._bucket.read(MARKER) is None:
            self._check_free()
            try:
                self._bucket.write(MARKER, b'{"format": 1}\n', over=None)
            except PreconditionFailed:
                return  # a rival's mark is as good

    def _check_free(self) -> None:
        """Raise ``BadTable`` if anything lies there that this program did not leave."""
        folders, objects = self._bucket.children()
        foreign = sorted({*folders, *objects} - {MARKER, LEASE, VERSIONS})
        if foreign and MARKER not in objects:
            shown = ", ".join(foreign[:5]) + (", …" if len(foreign) > 5 else "")
            raise BadTable(
                f"{self._bucket.uri}: found {len(foreign)} entries that are not of a prediction table ({shown}), "
                f"expected a prefix with nothing below it or one with {MARKER}; nothing was touched, pass another "
                f"--table"
            )
