"""The prediction table: a sequence of immutable snapshots and one pointer, in any ``Store``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recobatch.errors import BadSettings, BadTable, RecobatchError
from recobatch.table.catalog import Catalog, CatalogEntry
from recobatch.table.layout import safe_name
from recobatch.table.published import Published
from recobatch.table.published_table import PublishedTable
from recobatch.table.resume import Unfinished
from recobatch.table.session import Session, current_session, session
from recobatch.table.staged import StagedFiles
from recobatch.table.staging import Staging
from recobatch.table.verify import check_files, check_sizes


class Table(PublishedTable):
    """A table; every method that changes it locks it, unless this process holds the lock already."""

    @contextmanager
    def lock(self, *, holder: str) -> Iterator[None]:
        """Be the only writer for the time of the ``with`` block; never waits.

        What is published meanwhile is published over the table as it is now. In a folder, a table in which nothing was
        published or staged is removed at the end.

        Args:
            holder: Batch id, for the message that others get.

        Raises:
            TableBusy: If another run is writing; the message says who, where and since when.
            BadTable: If the place holds something else than a table.
        """
        with session(self.store, holder):
            yield

    @contextmanager
    def _exclusive(self, holder: str) -> Iterator[Session]:
        if (ours := current_session(self.store)) is not None:
            yield ours
            return
        with session(self.store, holder) as ours:
            yield ours

    def stage(self, version: str, *, shaped_by: str = "", notes: Mapping[str, Any] | None = None) -> Staging:
        """Begin a new version where consumers do not read.

        Args:
            version: A name that no published version has.
            shaped_by: Fingerprint of everything that the predictions depend on, for ``resume``.
            notes: JSON that the next run finds in ``unfinished``, should this one die.

        Raises:
            BadSettings: If the version cannot be part of a path.
            RecobatchError: If that version exists already.
        """
        safe_name("version", version)
        self.store.initialize()
        if version in self.store.versions():
            raise RecobatchError(
                f"{self.store.location}: found version {version} there already, expected a new version; "
                f"a published snapshot never changes, run with another version"
            )
        return self._staging(self.store.stage(version, shaped_by, notes or {}), version)

    def unfinished(self) -> list[Unfinished]:
        """Versions that dead runs left and that can be resumed, most finished files first.

        Of a table in a folder they lie on this machine; of one in an object store they lie there, for every machine.
        """
        left = self.store.unfinished()
        published = self._catalog().snapshots if left else {}
        return [each for each in left if each.version not in published]

    def resume(self, shaped_by: str) -> Staging | None:
        """Resume the version that a dead run left unfinished; hold the lock, and call it before ``clean``.

        Args:
            shaped_by: As given to ``stage``; must not be empty.

        Returns:
            The staging, whose finished shards are not written again, or none if there is nothing to resume.
        """
        for left in self.unfinished():
            if left.shaped_by == shaped_by != "":
                return self._staging(self.store.resume(left), left.version)
        return None

    def _staging(self, files: StagedFiles, version: str) -> Staging:
        return Staging(files, version, self.store, self._exclusive)

    def rollback(self, version: str | None = None) -> Published:
        """Point the table at an earlier snapshot.

        The files of the snapshot are checked first: their content in a folder, their names and sizes in an object
        store, where ``verify`` reads the content.

        Args:
            version: By default the nearest ancestor of the current one that was not rolled back itself. A version
                that is named may be any that is kept.

        Raises:
            BadTable: If there is no such snapshot, or it is damaged; the table stays as it is.
            TableBusy: If a run is writing.
        """
        self.snapshot(version)  # before the lock: what is no table yet must not become one
        with self._exclusive("rollback") as writer:
            target = self.snapshot(version or self._before(writer.catalog))
            if problems := (check_sizes if self.store.is_remote else check_files)(target):
                raise BadTable(
                    f"{target.location}: found a damaged snapshot ({problems[0]}), expected a whole one; "
                    f"the table stays as it is, roll back to another version"
                )
            writer.move(writer.catalog.pointing_at(target.manifest, writer.holder))
        return target

    def _before(self, catalog: Catalog) -> str:
        sound = {snapshot.version for snapshot in self._sound(catalog)}
        if (before := catalog.good_before(catalog.version, among=sound)) is not None:
            return before
        now = catalog.snapshots[catalog.version]
        bad = [each.version for each in catalog.rolled_back.values() if each.sequence < now.sequence]
        but = f" but what was rolled back itself ({', '.join(bad[-5:])})" if bad else ""
        raise BadTable(
            f"{self.store.location}: found no snapshot older than {now.version}{but}, expected one to roll back to; "
            f"the table stays as it is, name a version of recobatch versions, or publish a new one with recobatch run"
        )

    def clean(self, *, keep: Staging | None = None, keep_unfinished: bool = False) -> list[Path | str]:
        """Remove what dead runs left: staging folders, half-removed and unpublished versions, temporary files.

        Also repairs a pointer that a dead run left behind the link.

        Args:
            keep: The staging folder that is resumed.
            keep_unfinished: Whether to keep all that can be resumed, as long as it is not known what will be.

        Returns:
            Paths and URIs of what was removed.
        """
        if not self.store.is_table():
            return []
        with self._exclusive("clean") as writer:
            kept = [*(self.unfinished() if keep_unfinished else ()), *([keep] if keep else [])]
            swept = self.store.sweep({each.path for each in kept})
            return [*swept, *writer.remove_unpublished(kept={each.version for each in kept})]

    def retain(self, keep: int) -> list[str]:
        """Remove all but ``keep`` snapshots; returns the versions removed, in the order of removal.

        Kept are the current one, the one that a roll-back leads to, and the newest of the others; those that were
        rolled back are removed first. Snapshots whose manifest cannot be trusted are never removed.

        Raises:
            BadSettings: If ``keep`` is less than one.
        """
        if keep < 1:
            raise BadSettings(f"table.keep: found {keep}, expected at least 1; the current snapshot is always kept")
        with self._exclusive("retain") as writer:
            sound = {each.version: CatalogEntry.of(each.manifest) for each in self._sound(writer.catalog)}
            gone = writer.catalog.to_remove(keep, among=sound) if writer.catalog.version in sound else []
            if gone:
                writer.remove([sound[version] for version in gone])
        return gone
