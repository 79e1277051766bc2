"""Figures of a batch as JSON: what is not known is left out, and unknown keys are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Self


class Figures:
    """A dataclass as JSON: a field that is None is left out, unless it is nullable."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return present(self, *self._nullable)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_dict``; unknown keys are ignored."""
        return cls(**known(cls, values))

    @property
    def _nullable(self) -> tuple[str, ...]:
        return ()


def present(record: Any, *nullable: str) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """Field → value, without those that are None unless they are nullable."""
    values = {each.name: getattr(record, each.name) for each in fields(record)}
    return {name: value for name, value in values.items() if value is not None or name in nullable}


def dicts(records: Mapping[str, Figures]) -> dict[str, Any]:
    """Each record as JSON, by its name."""
    return {name: record.to_dict() for name, record in records.items()}


def known(record: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are fields of a dataclass."""
    names = {each.name for each in fields(record)}
    return {name: value for name, value in values.items() if name in names}
