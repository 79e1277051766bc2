"""``current.json``: which snapshot readers see, which are published, and which were rolled back."""

import json
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from recobatch.table.layout import VERSIONS
from recobatch.table.manifest import Manifest


@dataclass(frozen=True)
class CatalogEntry:
    """A version that is or was published."""

    version: str
    """Its name."""
    sequence: int
    """Position in the order of publishing."""
    parent: str | None = None
    """The version that was current when it was published, where that is known."""
    inputs: str | None = None
    """Fingerprint of what it was made from, where known; empty if that was published again after a roll-back."""
    scored: str | None = None
    """Likewise, of what its models make it from without being trained again."""

    @classmethod
    def of(cls, manifest: Manifest) -> "CatalogEntry":
        return cls(manifest.version, manifest.sequence, manifest.parent, manifest.inputs, manifest.scored)

    def is_made_from(self, inputs: str) -> bool:
        """Whether a fingerprint is one of those of what it was made from."""
        return inputs in (self.inputs, self.scored)

    def dump(self) -> dict[str, Any]:
        scored = {} if self.scored is None else {"scored": self.scored}
        return {"sequence": self.sequence, "parent": self.parent, "inputs": self.inputs, **scored}

    @classmethod
    def load(cls, version: str, content: Any) -> "CatalogEntry":  # noqa: ANN401 - JSON
        """Read an entry; in earlier tables it is the sequence number alone."""
        if isinstance(content, int):
            return cls(version, content)
        return cls(version, int(content["sequence"]), content["parent"], content["inputs"], content.get("scored"))


@dataclass(frozen=True)
class Catalog:
    """The one file of a table that ever changes."""

    version: str = ""
    """The current version; empty if there is none."""
    champion: str = ""
    """The current version's champion; empty if its manifest cannot be trusted."""
    snapshots: Mapping[str, CatalogEntry] = field(default_factory=dict)
    """Every published version, in the order of publishing."""
    rolled_back: Mapping[str, CatalogEntry] = field(default_factory=dict)
    """Versions that the table was rolled back from and that nobody named since, whether or not they are kept."""
    holder: str = ""
    """Who wrote it: a batch id."""
    token: str = ""
    """Never the same twice, so that no two states have the same entity tag; empty if it differs from what is stored."""
    main: str = "table"
    """Folder of the current version that readers read first; see ``Manifest.main``."""
    problem: str = ""
    """Why it is not known which version is current; empty if it is known."""

    def dump(self) -> bytes:
        """As it is stored."""
        content = {
            "version": self.version, "champion": self.champion,
            "table": f"{VERSIONS}/{self.version}/{self.main}/model={self.champion}",
            "sequence": self.snapshots[self.version].sequence,
            "snapshots": {version: entry.dump() for version, entry in self.snapshots.items()},
            "rolled_back": {version: entry.dump() for version, entry in self.rolled_back.items()},
            "holder": self.holder, "written": datetime.now(UTC).isoformat(timespec="seconds"), "token": self.token,
        }  # fmt: skip
        return json.dumps(content, indent=2).encode() + b"\n"

    @classmethod
    def load(cls, text: bytes) -> "Catalog":
        """Read a catalog as this or an earlier release stored it.

        Raises:
            ValueError: If it cannot be understood.
        """
        try:
            content = json.loads(text)
            version = str(content["version"])
            listed = content.get("snapshots", {version: int(content.get("sequence", 0))})
            marked = content.get("rolled_back", {})
            if isinstance(marked, list):
                marked = {each: listed[each] for each in marked if each in listed}
            snapshots, back = _entries(listed), _entries(marked)
            if version not in snapshots:
                raise ValueError(f"version {version} is not among its snapshots")
            holder, token = str(content.get("holder", "")), str(content.get("token", ""))
            main = "top" if "/top/model=" in str(content.get("table", "")) else "table"
            return cls(version, str(content.get("champion", "")), snapshots, back, holder, token, main)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(error) from error

    @property
    def is_stale(self) -> bool:
        """Whether it differs from what is stored and can be stored."""
        return not self.token and bool(self.champion) and self.version in self.snapshots

    @property
    def next_sequence(self) -> int:
        """Greater by one than any number that was given."""
        given = (*self.snapshots.values(), *self.rolled_back.values())
        return 1 + max((entry.sequence for entry in given), default=0)

    def pointing_at(self, manifest: Manifest, holder: str = "") -> "Catalog":
        """The catalog after a snapshot was made the current one, be it new or an earlier one.

        The version that was current is marked as rolled back where it is the later of the two. A snapshot that is named
        is not marked any more. What a new snapshot was made from may be published again, although it was rolled back.
        """
        entry = CatalogEntry.of(manifest)
        back, before = dict(self.rolled_back), self.snapshots.get(self.version)
        if entry.version not in self.snapshots and entry.inputs:
            again = {version for version, each in back.items() if each.is_made_from(entry.inputs)}
            back |= {version: replace(back[version], inputs="", scored=None) for version in again}
        if before is not None and before.sequence > entry.sequence:
            back[before.version] = before
        back.pop(entry.version, None)
        snapshots = _ordered({**self.snapshots, entry.version: entry})
        return Catalog(entry.version, manifest.champion, snapshots, back, holder, _token(), manifest.main)

    def renewed(self, holder: str) -> "Catalog":
        """The same content as another state, so that a rival that is only slow cannot write over it."""
        return replace(self, holder=holder, token=_token())

    def listing(self, entries: Mapping[str, CatalogEntry]) -> "Catalog":
        """The catalog with other snapshots published; the same if they are those that it lists."""
        if dict(entries) == dict(self.snapshots):
            return self
        return replace(self, snapshots=_ordered(entries), token="")

    def without(self, removed: Iterable[CatalogEntry], holder: str) -> "Catalog":
        """The catalog with some snapshots no longer published; what was rolled back stays marked."""
        gone = {entry.version: entry for entry in removed}
        left = {version: entry for version, entry in self.snapshots.items() if version not in gone}
        back = {version: gone.get(version, entry) for version, entry in self.rolled_back.items()}
        return replace(self, snapshots=left, rolled_back=back, holder=holder, token=_token())

    def good_before(self, version: str, *, among: Collection[str]) -> str | None:
        """The version to roll back to: the nearest ancestor that is kept and was not rolled back itself.

        Where the chain of parents ends or breaks (earlier tables know no parents, retention may have removed one), it
        is the newest of all earlier versions that were not rolled back.

        Args:
            version: The version to roll back from.
            among: Versions that are kept and sound.
        """
        known = {**self.rolled_back, **self.snapshots}
        entry = known[version]
        while (parent := known.get(entry.parent or "")) is not None and parent.sequence < entry.sequence:
            if parent.version in among and parent.version not in self.rolled_back:
                return parent.version
            entry = parent
        earlier = [
            each for each in self.snapshots.values()
            if each.sequence < entry.sequence and each.version in among and each.version not in self.rolled_back
        ]  # fmt: skip
        return max(earlier, key=lambda each: each.sequence).version if earlier else None

    def to_remove(self, keep: int, *, among: Collection[str]) -> list[str]:
        """The versions that retention removes, in the order of removal: what was rolled back first, then the oldest.

        Kept are the current version, the one that a roll-back would lead to, and the newest of the others.

        Args:
            keep: How many versions to keep, the current one among them.
            among: Versions that are kept and sound.
        """
        before = self.good_before(self.version, among=among)
        newest = sorted(among, key=lambda version: -self.snapshots[version].sequence)
        good = [version for version in newest if version not in self.rolled_back]
        order = dict.fromkeys([self.version, *([before] if before else []), *good, *newest])
        return list(order)[keep:][::-1]


def _entries(content: Mapping[str, Any]) -> dict[str, CatalogEntry]:
    return _ordered({version: CatalogEntry.load(version, entry) for version, entry in content.items()})


def _ordered(entries: Mapping[str, CatalogEntry]) -> dict[str, CatalogEntry]:
    return dict(sorted(entries.items(), key=lambda item: item[1].sequence))


def _token() -> str:
    return secrets.token_hex(8)
