"""The prediction table: a sequence of immutable snapshots and one pointer."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recobatch.errors import BadSettings, BadTable, RecobatchError
from recobatch.storage.durable import TEMPORARY, explained, fsync_folder, remove
from recobatch.table.layout import LOCK, STAGING, TRASH, VERSIONS, check_free, claim, is_table, safe_name
from recobatch.table.lock import hold, is_held_here
from recobatch.table.manifest import Manifest
from recobatch.table.resume import Unfinished, forget, list_unfinished, remember, take_up
from recobatch.table.snapshots import (
    Snapshot,
    current_version,
    list_snapshots,
    mend_pointer,
    one_before,
    open_snapshot,
    point_at,
    pointer_sequence,
    rolled_back,
)
from recobatch.table.staging import Staging, fsync_snapshot
from recobatch.table.verify import VerifyReport, check_files, check_sizes, verify_snapshot


class TableOptions(BaseModel):
    """How the table is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    keep: int = Field(default=3, ge=1)
    """Snapshots kept after a publish, the newest first; the current one is always kept."""


class PredictionTable:
    """A table folder; what changes it takes the table's lock unless this process holds it already."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def lock(self, *, holder: str) -> Iterator[None]:
        """Be the only writer for the time of the ``with`` block; never waits.

        Args:
            holder: Batch id, for the message that others get.

        Raises:
            TableBusy: If somebody else is writing; the message says who, where and since when.
            BadTable: If the folder is not a prediction table.
        """
        claim(self.root)
        with hold(self.root / LOCK, holder=holder):
            yield

    def _exclusive(self, holder: str) -> AbstractContextManager[None]:
        # By process and not by object: tasks of a run may come by another handle of the same table.
        return nullcontext() if is_held_here(self.root / LOCK) else self.lock(holder=holder)

    def stage(self, version: str, *, shaped_by: str = "", notes: Mapping[str, Any] | None = None) -> Staging:
        """Begin a new version in a folder of its own, on the same disk and out of readers' sight.

        Args:
            version: A name that no published version has.
            shaped_by: Fingerprint of everything that the predictions depend on, for ``resume``.
            notes: JSON that the next run finds in ``unfinished``, should this one die.

        Raises:
            BadSettings: If the version cannot be part of a path.
            RecobatchError: If that version was published already.
        """
        safe_name("version", version)
        claim(self.root)
        if (self.root / VERSIONS / version).exists():
            raise RecobatchError(
                f"{self.root}: found version {version} published already, expected a new version; "
                f"a published snapshot never changes, run with another version"
            )
        path = self.root / f"{STAGING}{version}-{secrets.token_hex(4)}"
        with explained("make a staging folder", path):
            path.mkdir()
        if shaped_by:
            remember(path, version, shaped_by, notes or {})
        return self._staging(path, version)

    def unfinished(self) -> list[Unfinished]:
        """Versions that dead runs left and that may be gone on with, the one with the most finished files first."""
        left = list_unfinished(self.root) if is_table(self.root) else []
        return [each for each in left if not (self.root / VERSIONS / each.version).exists()]

    def resume(self, shaped_by: str) -> Staging | None:
        """Go on with the version that a dead run left unfinished; hold the lock, and call it before ``clean``.

        Args:
            shaped_by: As given to ``stage``; must not be empty.

        Returns:
            The staging folder, whose shards ``Staging.kept`` knows, or none if there is nothing of use.
        """
        left = take_up(self.unfinished(), shaped_by)
        return None if left is None else self._staging(left.path, left.version)

    def _staging(self, path: Path, version: str) -> Staging:
        return Staging(path, version, self._exclusive, self._next_sequence, self._land)

    def current(self) -> Snapshot | None:
        """The snapshot that readers see, or none if nothing was published yet.

        Raises:
            BadTable: If the folder is not a table, or the pointer leads to no sound snapshot.
        """
        self._check()
        version = current_version(self.root)
        if version is None:
            return None
        if not (self.root / VERSIONS / version).is_dir():
            raise BadTable(
                f"{self.root}: found the table pointing at version {version}, which is not there; expected a "
                f"published snapshot; point it at another with recobatch rollback VERSION"
            )
        return open_snapshot(self.root / VERSIONS / version)

    def snapshots(self) -> list[Snapshot]:
        """Every sound snapshot, in the order of publishing."""
        self._check()
        return list_snapshots(self.root)[0]

    def rolled_back(self) -> list[Snapshot]:
        """The kept snapshots that the table was pointed back from, in the order of publishing."""
        self._check()
        return rolled_back(self.root)

    def snapshot(self, version: str | None = None) -> Snapshot:
        """A snapshot by version, by default the current one.

        Raises:
            BadTable: If nothing was published yet, or that version does not exist; the message names those that do.
        """
        if version is None:
            if (current := self.current()) is None:
                raise BadTable(f"{self.root}: found no published snapshot, expected one; publish with recobatch run")
            return current
        folder = self.root / VERSIONS / safe_name("version", version)
        if not folder.is_dir():
            known = [snapshot.version for snapshot in reversed(self.snapshots())]
            raise BadTable(
                f"{self.root}: found no version {version}, expected one of {', '.join(known[:5]) or 'none yet'}"
                f"{', …' if len(known) > 5 else ''}; pass one of them"
            )
        return open_snapshot(folder)

    def rollback(self, version: str | None = None) -> Snapshot:
        """Point the table at an earlier snapshot, by default the one published before the current one.

        Raises:
            BadTable: If there is no such snapshot, or it is damaged; the table stays as it is.
            TableBusy: If a run is writing.
        """
        self.snapshot(version)  # before the lock: what is no table yet must not become one
        with self._exclusive("rollback"):
            target = (
                self.snapshot(version)
                if version is not None
                else one_before(self.snapshot(), self.snapshots(), self.root)
            )
            if problems := check_files(target):
                raise BadTable(
                    f"{target.path}: found a damaged snapshot ({problems[0]}), expected a whole one; "
                    f"the table stays as it is, roll back to another version"
                )
            with suppress(BadTable):  # a pointer that cannot be read is what the rollback mends
                self._mend()
            point_at(self.root, target)
        return target

    def verify(self, version: str | None = None) -> VerifyReport:
        """Check every byte and every pair of a snapshot, by default the current one.

        Raises:
            BadTable: If there is no such snapshot, or its manifest cannot be trusted.
        """
        return verify_snapshot(self.snapshot(version))

    def damage(self, version: str | None = None) -> list[str]:
        """What is wrong with a snapshot's files by name and size alone, one line each; reads none of them."""
        return check_sizes(self.snapshot(version))

    def clean(self, *, keep: Staging | None = None, keep_unfinished: bool = False) -> list[Path]:
        """Remove what dead runs left: staging folders, half-removed snapshots, temporary files and links.

        Also brings ``current.json`` in line with ``current``.

        Args:
            keep: The staging folder that is gone on with.
            keep_unfinished: Whether to keep all that may be gone on with, as long as it is not known what will be.

        Returns:
            What was removed.
        """
        if not is_table(self.root):
            return []
        with self._exclusive("clean"):
            left = [path for path in self.root.iterdir() if path.name.startswith((STAGING, TRASH, TEMPORARY))]
            kept = {each.path for each in self.unfinished()} if keep_unfinished else set()
            litter = [path for path in left if path not in kept and (keep is None or path != keep.path)]
            with explained("remove what an earlier run left", self.root):
                for path in litter:
                    remove(path)
            self._mend()
        return litter

    def retain(self, keep: int) -> list[str]:
        """Remove all but the newest ``keep`` snapshots, never the current one; returns the versions removed.

        Snapshots whose manifest cannot be trusted are left for a person to look at.

        Raises:
            BadSettings: If ``keep`` is less than one.
        """
        if keep < 1:
            raise BadSettings(f"table.keep: found {keep}, expected at least 1; the current snapshot is always kept")
        with self._exclusive("retain"):
            current = current_version(self.root)
            old = [s for s in self.snapshots()[:-keep] if s.version != current]
            for snapshot in old:
                trash = self.root / f"{TRASH}{snapshot.version}-{secrets.token_hex(4)}"
                with explained("remove an old snapshot", snapshot.path, outcome="the current table still stands"):
                    # Renamed first, so that a snapshot under versions/ is whole until it is gone.
                    snapshot.path.rename(trash)
                    fsync_folder(self.root / VERSIONS)
                    remove(trash)
        return [snapshot.version for snapshot in old]

    def _check(self) -> None:
        if not is_table(self.root):
            check_free(self.root)

    def _next_sequence(self) -> int:
        numbers = [snapshot.sequence for snapshot in list_snapshots(self.root)[0]]
        return 1 + max([*numbers, pointer_sequence(self.root)])

    def _land(self, staging: Path, manifest: Manifest) -> Snapshot:
        target = self.root / VERSIONS / manifest.version
        with explained("finish the snapshot", staging):
            # Not before: should the disk be full by now, the finished shards are still there for the next run.
            forget(staging)
            fsync_snapshot(staging)
        with explained("move the snapshot into place", target):
            staging.rename(target)
            fsync_folder(self.root / VERSIONS)
        snapshot = Snapshot(manifest, target)
        point_at(self.root, snapshot)
        return snapshot

    def _mend(self) -> None:
        """A run that died between moving the link and writing the file left an older file."""
        version = current_version(self.root)
        for snapshot in list_snapshots(self.root)[0]:
            if snapshot.version == version and snapshot.sequence != pointer_sequence(self.root):
                mend_pointer(self.root, snapshot)
