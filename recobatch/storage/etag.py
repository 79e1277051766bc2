"""What identifies one state of one object, so that a write can depend on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ETag:
    """One state of one object; stores identify states by an entity tag, a version, or both."""

    e_tag: str | None
    version: str | None = None

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> "ETag":
        """From obstore's ``PutResult`` or ``ObjectMeta``."""
        return cls(meta["e_tag"], meta["version"])

    def other(self) -> "ETag":
        """A state that the object never had, for a write that must fail."""
        return ETag(self.e_tag and '"999999999"', self.version and "1")

    def condition(self) -> dict[str, str]:
        """As obstore expects it."""
        both = {"e_tag": self.e_tag, "version": self.version}
        return {name: value for name, value in both.items() if value is not None}
