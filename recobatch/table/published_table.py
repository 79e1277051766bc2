"""A table as its readers know it: the pointer, and the published versions; nothing here changes it."""

from pathlib import Path

from recobatch.errors import BadTable
from recobatch.table.catalog import Catalog, CatalogEntry
from recobatch.table.layout import safe_name
from recobatch.table.published import Published
from recobatch.table.store import Store
from recobatch.table.verify import VerifyReport, check_sizes, verify_snapshot


class PublishedTable:
    """What is published in a ``Store``; needs no lock."""

    def __init__(self, store: Store) -> None:
        """Open a table; nothing is read yet."""
        self.store = store

    @property
    def root(self) -> Path:
        """Folder of a table in a local folder."""
        return Path(self.store.location)

    def current(self) -> Published | None:
        """The snapshot that readers see, or none if nothing was published yet.

        Raises:
            BadTable: If the place holds something else than a table, or the pointer leads to no sound snapshot.
        """
        catalog = self._catalog()
        if catalog.problem:
            raise BadTable(catalog.problem)
        if not catalog.version:
            return None
        if catalog.version not in catalog.snapshots:
            raise BadTable(
                f"{self.store.location}: found the table pointing at version {catalog.version}, which is not there; "
                f"expected a published snapshot; point it at another with recobatch rollback VERSION"
            )
        return Published.open(self.store, catalog.version)

    def snapshots(self) -> list[Published]:
        """Every snapshot with a sound manifest, in the order of publishing."""
        return self._sound(self._catalog())

    def rolled_back(self) -> list[CatalogEntry]:
        """The versions that the table was rolled back from, kept or not, in the order of publishing.

        A version stays among them until a roll-back names it.
        """
        marked = self._catalog().rolled_back.values()
        return sorted(map(self._with_inputs, marked), key=lambda entry: entry.sequence)

    def snapshot(self, version: str | None = None) -> Published:
        """A snapshot by version, by default the current one.

        Raises:
            BadTable: If nothing was published yet, or that version does not exist; the message names those that do.
        """
        if version is None:
            if (current := self.current()) is None:
                raise BadTable(
                    f"{self.store.location}: found no published snapshot, expected one; publish with recobatch run"
                )
            return current
        safe_name("version", version)
        known = list(self._catalog().snapshots)[::-1]
        if version not in known:
            raise BadTable(
                f"{self.store.location}: found no version {version}, expected one of "
                f"{', '.join(known[:5]) or 'none yet'}{', …' if len(known) > 5 else ''}; pass one of them"
            )
        return Published.open(self.store, version)

    def verify(self, version: str | None = None) -> VerifyReport:
        """Check every byte and every pair of a snapshot, by default the current one.

        Raises:
            BadTable: If there is no such snapshot, or its manifest cannot be trusted.
        """
        return verify_snapshot(self.snapshot(version))

    def damage(self, version: str | None = None) -> list[str]:
        """Problems of a snapshot's files by name and size alone, one line each; reads none of them."""
        return check_sizes(self.snapshot(version))

    def _catalog(self) -> Catalog:
        return self.store.read_catalog()[0]

    def _sound(self, catalog: Catalog) -> list[Published]:
        sound = []
        for version in catalog.snapshots:
            try:
                sound.append(Published.open(self.store, version))
            except BadTable:
                continue  # left for a person to look at
        return sound

    def _with_inputs(self, entry: CatalogEntry) -> CatalogEntry:
        """Earlier tables note no inputs; a snapshot that is kept does."""
        try:
            if entry.inputs is not None:
                return entry
            return CatalogEntry.of(Published.open(self.store, entry.version).manifest)
        except BadTable:
            return entry
