"""``current.json`` in an object store: which snapshots are published, and which of them readers see."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from recobatch.errors import BadTable
from recobatch.table.layout import POINTER, VERSIONS
from recobatch.table.manifest import Manifest


@dataclass(frozen=True)
class Catalog:
    """The one object of a table that ever changes. What it does not list is not published, whatever lies there."""

    version: str
    champion: str
    snapshots: Mapping[str, int]
    """Sequence number of every published version, in the order of publishing."""
    holder: str
    """Who wrote it: a batch id."""
    rolled_back: tuple[str, ...]
    """Versions that the table was pointed back from."""
    token: str
    """Never the same twice, so that no two states have the same entity tag, which may be a digest of the content."""

    def dump(self) -> bytes:
        content = {
            "version": self.version, "champion": self.champion,
            "table": f"{VERSIONS}/{self.version}/table/model={self.champion}",
            "sequence": self.snapshots[self.version], "snapshots": dict(self.snapshots), "holder": self.holder,
            "rolled_back": list(self.rolled_back), "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "token": self.token,
        }  # fmt: skip
        return json.dumps(content, indent=2).encode() + b"\n"

    @classmethod
    def load(cls, content: bytes, where: str) -> "Catalog":
        """Read it.

        Raises:
            BadTable: If it is not as this program writes it.
        """
        try:
            told = json.loads(content)
            snapshots = {str(version): int(sequence) for version, sequence in told["snapshots"].items()}
            back = tuple(version for version in told.get("rolled_back", ()) if version in snapshots)
            catalog = cls(told["version"], told["champion"], snapshots, told["holder"], back, told["token"])
            if catalog.version not in snapshots:
                raise ValueError(f"version {catalog.version} is not among its snapshots")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadTable(
                f"{where}/{POINTER}: found no readable pointer ({error}), expected JSON as recobatch wrote it; "
                f"restore that object, or pass another --table"
            ) from error
        return catalog

    def without(self, versions: set[str], holder: str) -> "Catalog":
        """The same with some snapshots no longer published."""
        left = {version: sequence for version, sequence in self.snapshots.items() if version not in versions}
        back = tuple(version for version in self.rolled_back if version in left)
        return replace(self, snapshots=left, rolled_back=back, holder=holder, token=_token())


def pointing_at(before: Catalog | None, manifest: Manifest, holder: str) -> Catalog:
    """The catalog after a snapshot was made the current one, be it new or an earlier one."""
    published = dict(before.snapshots) if before else {}
    snapshots = {**published, manifest.version: manifest.sequence}
    seen = (*before.rolled_back, before.version) if before else ()
    back = tuple(version for version in seen if snapshots[version] > manifest.sequence)
    return Catalog(manifest.version, manifest.champion, snapshots, holder, back, _token())


def next_sequence(catalog: Catalog | None) -> int:
    """Grows by one with every publish; retention always leaves the newest."""
    return 1 + max(catalog.snapshots.values()) if catalog else 1


def _token() -> str:
    return secrets.token_hex(8)
