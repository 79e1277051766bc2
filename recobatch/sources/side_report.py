"""What became of the columns and rows of a side table."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ColumnReport:
    """What became of one column."""

    name: str
    used_as: str | None
    """``categories``, ``numbers`` or ``lists``; None if it was left out."""
    reason: str
    """Number of its features, or why it was left out."""


@dataclass(frozen=True)
class SideTableReport:
    """What was read from a side table."""

    path: str
    rows: int
    columns: tuple[ColumnReport, ...]
    unknown_ids: int
    """Rows whose id has no rating; they are ignored."""
    missing_rows: int
    """Ids with ratings but without a row; they have no features."""
    duplicates: int
    """Rows whose id came before; the first one counts."""
    null_ids: int
    """Rows without an id; they are ignored."""
    undecodable: int
    """Values that are not UTF-8, read as Latin-1."""

    @property
    def used(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.used_as)

    @property
    def left_out(self) -> dict[str, str]:
        """Column → why it was left out."""
        return {column.name: column.reason for column in self.columns if not column.used_as}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """One line for logs and terminals."""
        used = ", ".join(f"{each.name} ({each.reason})" for each in self.columns if each.used_as) or "no column"
        left = ", ".join(f"{name} ({reason})" for name, reason in self.left_out.items())
        counts = {
            "unknown ids": self.unknown_ids, "ids without a row": self.missing_rows,
            "duplicate rows": self.duplicates, "rows without an id": self.null_ids,
            "values read as Latin-1": self.undecodable,
        }  # fmt: skip
        found = "".join(f"; {number:,} {noun}" for noun, number in counts.items() if number)
        return f"{self.path}: used {used}" + (f"; left out {left}" if left else "") + found
