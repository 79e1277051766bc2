"""A table in a local folder: a link that is swapped in one step, under a lock that the kernel frees."""

import hashlib
import os
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from recobatch.errors import BadTable, RecobatchError, TableBusy
from recobatch.storage.durable import explained, fsync_folder, remove, swap_link, write_file
from recobatch.storage.etag import ETag
from recobatch.storage.store_errors import PreconditionFailed
from recobatch.table import layout
from recobatch.table.catalog import Catalog, CatalogEntry
from recobatch.table.layout import CHAMPION, CHAMPION_TOP, CURRENT, LOCK, MANIFEST, POINTER, TRASH, VERSIONS
from recobatch.table.lock import TableLock
from recobatch.table.manifest import Manifest
from recobatch.table.resume import Unfinished, forget, list_unfinished, remember, remove_unfinished
from recobatch.table.staged import FolderFiles
from recobatch.table.staging_folders import fsync_snapshot, make_staging, sweep

_ATTEMPTS = 20
"""To lock a table that other runs remove, because nothing was published in it."""
_LINKS = {CHAMPION: "table", CHAMPION_TOP: "top"}
"""Links of a snapshot: name → folder of the models that it points into."""
_STANDS = "the table that stood before still stands"


class FolderStore:
    """A ``Store`` in a folder.

    What lies under ``versions/`` is published, and where the link ``current`` and ``current.json`` differ, the link is
    the newer one: it is moved first. Where there is no link (a copy from an object store) the file is the pointer.
    """

    is_remote = False

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def location(self) -> str:
        return str(self.root)

    @property
    def key(self) -> str:
        return str(self.root.resolve())

    def is_table(self) -> bool:
        return layout.is_table(self.root)

    def initialize(self) -> None:
        layout.initialize(self.root)

    @contextmanager
    def exclusive(self, holder: str) -> Iterator[TableLock]:
        """Hold the folder's lock; at the end, remove a table in which nothing was published or staged."""
        owner = os.getpid()
        lock, made = self._acquire(holder)
        try:
            yield lock
        finally:
            if os.getpid() == owner:
                layout.withdraw(self.root)
                if made:
                    with suppress(OSError):  # it is in use
                        self.root.rmdir()
                lock.release()

    def _acquire(self, holder: str) -> tuple[TableLock, bool]:
        """The lock, and whether the folder was made for it."""
        for _ in range(_ATTEMPTS):
            with explained("open the table folder", self.root, outcome="nothing was touched"):
                made = not self.root.exists()
            try:
                self.initialize()
                lock = TableLock(self.root / LOCK, holder)
            except RecobatchError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    continue  # removed by a run that ended without staging anything
                raise
            if lock.is_in_place() and self.is_table():
                return lock, made
            lock.release()
        raise TableBusy(
            f"{self.root}: found other runs that make and remove the folder, expected a table that nobody writes to; "
            f"run again"
        )

    def read_catalog(self) -> tuple[Catalog, ETag | None]:
        if not self.is_table():
            layout.check_free(self.root)
            return Catalog(), None
        with explained("read the table", self.root, outcome="nothing was touched"):
            stored, link = self._stored(), self._linked()
            manifests = {version: self._manifest(version) for version in self.versions()}
        entries = {
            version: CatalogEntry.of(manifest) if manifest else stored.snapshots.get(version, CatalogEntry(version, 0))
            for version, manifest in manifests.items()
        }
        catalog = stored.listing(entries)
        if link and link != stored.version:
            manifest = manifests.get(link)
            catalog = catalog.pointing_at(manifest) if manifest else replace(catalog, version=link, champion="")
            catalog = replace(catalog, token="", problem="")
        return catalog, self._etag()

    def write_catalog(self, catalog: Catalog, *, over: ETag | None) -> ETag:
        """Move the link, then replace ``current.json``, each in one step."""
        if self._etag() != over:
            raise PreconditionFailed(POINTER)
        outcome = "the current table still stands"
        if self._linked() != catalog.version:
            with explained("move the link to the new snapshot", self.root, outcome=_STANDS):
                swap_link(self.root / CURRENT, Path(VERSIONS) / catalog.version)
            outcome = f"snapshot {catalog.version} is current but may not survive a power cut"
        with explained("confirm the new pointer", self.root, outcome=outcome):
            fsync_folder(self.root)
            write_file(self.root / POINTER, catalog.dump())
            fsync_folder(self.root)
        etag = self._etag()
        assert etag is not None, "just written"
        return etag

    def _linked(self) -> str | None:
        link = self.root / CURRENT
        return link.readlink().name if link.is_symlink() else None

    def _content(self) -> bytes | None:
        try:
            return (self.root / POINTER).read_bytes()
        except FileNotFoundError:
            return None

    def _etag(self) -> ETag | None:
        link, content = self._linked(), self._content()
        if link is None and content is None:
            return None
        return ETag(hashlib.sha256(f"{link}\n".encode() + (content or b"")).hexdigest())

    def _stored(self) -> Catalog:
        """The content of ``current.json``, as far as it can be read."""
        try:
            content = self._content()
            return Catalog() if content is None else Catalog.load(content)
        except (OSError, ValueError) as error:
            return Catalog(
                problem=f"{self.root / POINTER}: found no readable pointer ({error}), expected JSON with a version; "
                f"point the table at a snapshot with recobatch rollback VERSION"
            )

    def _manifest(self, version: str) -> Manifest | None:
        try:
            text = self.read(f"{VERSIONS}/{version}/{MANIFEST}")
            manifest = None if text is None else Manifest.load(text, version)
        except BadTable:
            return None
        return manifest if manifest and manifest.version == version else None

    def versions(self) -> list[str]:
        folder = self.root / VERSIONS
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def stage(self, version: str, shaped_by: str, notes: Mapping[str, Any]) -> FolderFiles:
        files = FolderFiles(make_staging(self.root, version))
        if shaped_by:
            remember(files.path, version, shaped_by, notes)
        return files

    def unfinished(self) -> list[Unfinished]:
        return list_unfinished(self.root)

    def resume(self, left: Unfinished) -> FolderFiles:
        remove_unfinished(left.path)
        return FolderFiles(left.path)

    def sweep(self, kept: Collection[Path]) -> list[Path | str]:
        return [*sweep(self.root, kept)]

    def forget(self, versions: Collection[str]) -> None:
        """Nothing: a snapshot holds no notes."""

    def put(self, staging: Path, manifest: Manifest) -> None:
        """Fsync the staging folder and rename it."""
        target = self.root / VERSIONS / manifest.version
        with explained("finish the snapshot", staging):
            # Not before: should the disk be full by now, the finished shards are still there for the next run.
            forget(staging)
            fsync_snapshot(staging)
        with explained("move the snapshot into place", target):
            staging.rename(target)
            fsync_folder(self.root / VERSIONS)

    def delete(self, version: str) -> None:
        """Rename the version's folder first, so that a snapshot under ``versions/`` is whole until it is gone."""
        folder, trash = self.root / VERSIONS / version, self.root / f"{TRASH}{version}-{secrets.token_hex(4)}"
        with explained("remove an old snapshot", folder, outcome="the current table still stands"):
            folder.rename(trash)
            fsync_folder(self.root / VERSIONS)
            remove(trash)

    def read(self, name: str) -> bytes | None:
        path = self.root / name
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise BadTable(
                f"{path}: found a file that cannot be read ({error}), expected one as recobatch wrote it; "
                f"restore it, or roll back to another snapshot"
            ) from error

    def open(self, name: str) -> Path:
        return self.root / name

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        """The file itself."""
        yield self.root / name

    def sizes(self, version: str) -> dict[str, int]:
        folder = self.root / VERSIONS / version
        files = {
            path.relative_to(folder).as_posix(): path.lstat().st_size
            for path in folder.rglob("*")
            if path.is_symlink() or not path.is_dir()
        }
        return {name: size for name, size in files.items() if name not in _LINKS or not (folder / name).is_symlink()}

    def check_links(self, manifest: Manifest) -> list[str]:
        folder = self.root / VERSIONS / manifest.version
        if not (folder / CHAMPION).is_symlink():
            return [f"{CHAMPION}: found no such link, expected one to {manifest.main}/model={manifest.champion}"]
        return [
            f"{name}: found a link to {found}, expected {expected}"
            for name, table in (_LINKS | {CHAMPION: manifest.main}).items()
            if (folder / name).is_symlink()  # earlier versions have no second one
            and (found := (folder / name).readlink().as_posix()) != (expected := f"{table}/model={manifest.champion}")
        ]
